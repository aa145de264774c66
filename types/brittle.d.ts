/** Declarations of the parts of brittle 4 that the tests use; the package ships none. */
declare module 'brittle' {
  export interface TestOptions {
    /** Milliseconds until the test fails; default 30,000. 0 means never. */
    timeout?: number;
    skip?: boolean;
    solo?: boolean;
    todo?: boolean;
  }

  export interface TeardownOptions {
    /** Lower runs first; default 0. */
    order?: number;
    /** Run also when the test function threw. */
    force?: boolean;
  }

  export interface Assertions {
    readonly name: string;
    plan(count: number): void;
    timeout(ms: number): void;
    comment(...message: unknown[]): void;
    teardown(run: () => unknown, options?: TeardownOptions): void;
    /** A folder in TMPDIR that is removed when the test ends. */
    tmp(): Promise<string>;
    pass(message?: string): void;
    fail(message?: string): void;
    ok(value: unknown, message?: string): void;
    absent(value: unknown, message?: string): void;
    is(actual: unknown, expected: unknown, message?: string): void;
    not(actual: unknown, expected: unknown, message?: string): void;
    alike(actual: unknown, expected: unknown, message?: string): void;
    unlike(actual: unknown, expected: unknown, message?: string): void;
    exception: {
      (
        run: Promise<unknown> | (() => unknown),
        expected?: RegExp | object,
        message?: string,
      ): Promise<void>;
      /** Also takes the native error classes (TypeError, RangeError ...). */
      all(
        run: Promise<unknown> | (() => unknown),
        expected?: RegExp | object,
        message?: string,
      ): Promise<void>;
    };
    /** Resolves to the milliseconds it took. */
    execution(run: Promise<unknown> | (() => unknown), message?: string): Promise<number>;
    test(name: string, run: (t: Assertions) => unknown): Promise<boolean>;
    end(): void;
  }

  export type TestFunction = (t: Assertions) => unknown;

  export interface TestRegistrar {
    (name: string, run: TestFunction): Promise<boolean>;
    (name: string, options: TestOptions, run: TestFunction): Promise<boolean>;
  }

  export interface Brittle extends TestRegistrar {
    readonly test: TestRegistrar;
    readonly skip: TestRegistrar;
    readonly solo: TestRegistrar;
    readonly todo: TestRegistrar;
    readonly hook: TestRegistrar;
    configure(options: { timeout?: number; bail?: boolean }): void;
  }

  const brittle: Brittle;

  export { brittle as default };
  export const test: TestRegistrar;
  export const skip: TestRegistrar;
  export const solo: TestRegistrar;
  export const hook: TestRegistrar;
  export function configure(options: { timeout?: number; bail?: boolean }): void;
}
