#!/bin/sh
# Makes a checkout ready to run: Node.js, system packages, npm packages, build. Prints to stderr only, and only what it
# does. Usage: setup.sh [--packages NAME,...]: the system packages that are needed; fuse3 alone by default, and then
# their absence is only said.
#
# Nothing is started when everything is up to date: the check takes a few milliseconds.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
node_major_min=20
# Written last by each step, so that an interrupted step is done again.
packages_stamp=$root/node_modules/.shoal-package-lock.json
build_stamp=$root/dist/.shoal-built
lock=$root/dist/.setup-lock

say() { printf 'shoal: %s\n' "$1" >&2; }
fail() {
  say "$1"
  exit 10
}

check_node() {
  command -v node >/dev/null 2>&1 ||
    fail "Node.js is missing; install version $node_major_min or newer (https://nodejs.org)"
  version=$(node --version)
  major=${version#v}
  major=${major%%.*}
  [ "$major" -ge "$node_major_min" ] ||
    fail "Node.js $version is too old; install version $node_major_min or newer (https://nodejs.org)"
}

# Programs of which any one means that a package is not missing: another one will do in place of the small one here.
programs_of() {
  case $1 in
  fuse3) echo fusermount3 ;;
  acl) echo setfacl ;;
  inotify-tools) echo inotifywait ;;
  tcc) echo cc tcc ;;
  util-linux) echo flock ;;
  vim-tiny) echo vim vim.tiny ;;
  *) echo "$1" ;;
  esac
}

has_any() {
  for program in "$@"; do
    if command -v "$program" >/dev/null 2>&1; then return 0; fi
  done
  return 1
}

check_system_packages() {
  missing=
  old_ifs=$IFS
  IFS=,
  for package in $1; do
    IFS=$old_ifs
    # shellcheck disable=SC2046 # a list of programs
    has_any $(programs_of "$package") || missing="${missing:+$missing }$package"
  done
  IFS=$old_ifs
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    say "missing system packages: $missing; install them with your system's package manager"
    return 1
  fi
  if [ "$(id -u)" != 0 ]; then
    say "missing system packages: $missing; install them with 'sudo apt-get install $missing'"
    return 1
  fi
  mkdir -p "$root/dist"
  say "installing system packages: $missing"
  # shellcheck disable=SC2086 # a list of packages
  if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y $missing; } \
    >"$root/dist/.setup-log" 2>&1 </dev/null; then
    cat "$root/dist/.setup-log" >&2
    rm -f "$root/dist/.setup-log"
    say "cannot install system packages; install them with 'apt-get install $missing'"
    return 1
  fi
  rm -f "$root/dist/.setup-log"
}

packages_current() { cmp -s "$root/package-lock.json" "$packages_stamp"; }

build_current() {
  [ -e "$build_stamp" ] || return 1
  changed=$(find "$root/src" "$root/mount" "$root/types" "$root/test" "$root/scripts" "$root/tsconfig.json" \
    "$root/package-lock.json" -newer "$build_stamp" \
    \( -type d -o -name '*.ts' -o -name '*.json' \) -print 2>/dev/null | head -n 1)
  [ -z "$changed" ]
}

current() { packages_current && build_current; }

# One setup at a time: a folder is made by one process only. The pid in it tells a running setup from one that died.
take_lock() {
  mkdir -p "$root/dist"
  waited=0
  until mkdir "$lock" 2>/dev/null; do
    holder=$(cat "$lock/pid" 2>/dev/null || true)
    if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
      # Whoever can rename it away removes it; the others wait on.
      if mv "$lock" "$lock.$$" 2>/dev/null; then rm -rf "$lock.$$"; fi
      continue
    fi
    [ "$waited" -gt 0 ] || say "waiting for another setup to finish"
    waited=$((waited + 1))
    [ "$waited" -le 600 ] || fail "another setup does not finish; remove '$lock' when none runs"
    sleep 1
  done
  echo "$$" >"$lock/pid"
  trap 'rm -rf "$lock"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

install_packages() {
  command -v npm >/dev/null 2>&1 || fail "npm is missing; install it with Node.js"
  say "installing npm packages"
  (cd "$root" && npm ci --no-fund --no-audit --loglevel=error >&2 </dev/null) ||
    fail "cannot install npm packages; see above"
  cp "$root/package-lock.json" "$packages_stamp"
}

build() {
  say "building"
  # Taken before the build: what is changed during it is built next time.
  started=$lock/started
  : >"$started"
  (cd "$root" && node node_modules/typescript/bin/tsc -p tsconfig.json >&2 </dev/null) ||
    fail "cannot build; see above"
  mkdir -p "$root/dist"
  touch -r "$started" "$build_stamp"
}

packages=fuse3
required=no
if [ "${1-}" = --packages ]; then
  packages=${2-}
  required=yes
fi
check_node
check_system_packages "$packages" || [ "$required" = no ] || exit 10
if ! current; then
  take_lock
  packages_current || install_packages
  build_current || build
fi
