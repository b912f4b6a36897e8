// The bundler's own guard does not reach packages outside the app, so this door does.
throw new Error('@kith/plugin-example/server runs on the server only: in the browser, import @kith/plugin-example/client.');
export {};
