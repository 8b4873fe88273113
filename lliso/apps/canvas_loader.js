// The module that every widget brings to the page: small, for a page never lets go of a module. The
// canvas view itself comes with the widget's state and is made a module once per page; a cell that is
// run again finds it there.

const modules = (globalThis.llisoModules ??= new Map());

function canvas(source) {
  if (!modules.has(source)) {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const made = import(/* webpackIgnore: true */ /* @vite-ignore */ url).finally(() => URL.revokeObjectURL(url));
    made.catch(() => modules.delete(source));
    modules.set(source, made);
  }
  return modules.get(source);
}

export default {
  initialize({ model }) { // JupyterLab keeps the model of a closed widget until its kernel ends: without what it held
    return () => { for (const [name, empty] of [["_source", ""], ["_css", ""], ["_images", {}], ["_screen", {}], ["_layout", {}]]) model.set(name, empty, { silent: true }); };
  },
  async render(context) {
    const { default: view } = await canvas(context.model.get("_source"));
    return context.signal?.aborted ? undefined : view.render(context); // closed in the meantime
  },
};
