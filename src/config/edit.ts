import { yaml } from './yaml.js';

/** Sets a value in the text of a declaration, or takes it out with `undefined`; comments and order stay.
 *  @param path keys from the root: `['pods', 'nas-1', 'capacity']` */
export function editConfig(source: string, path: readonly string[], value: unknown): string {
  const document = yaml().parseDocument(source, { stringKeys: true });
  if (value === undefined) {
    // Folders of keys that become empty stay: somebody may have written them with a comment.
    if (document.hasIn(path)) document.deleteIn(path);
  } else {
    for (let i = 1; i < path.length; i++) {
      const at = path.slice(0, i);
      // `pods:` with nothing behind it is a mapping too.
      if (!yaml().isMap(document.getIn(at))) document.setIn(at, document.createNode({}));
    }
    document.setIn(path, value);
  }
  if (document.contents === null) return source;
  return document.toString({ lineWidth: 0 });
}
