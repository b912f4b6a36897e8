/** Screens of plugins are checked by svelte-check where they stand; here it is enough that they are there. */
declare module '*.svelte' {
  const component: unknown;
  export default component;
}
