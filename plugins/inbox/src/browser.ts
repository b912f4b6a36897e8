// The bundler's own guard does not reach packages outside the app, so this door does.
throw new Error('@kith/plugin-inbox/server runs on the server only: in the browser, import @kith/plugin-inbox/client.');
export {};
