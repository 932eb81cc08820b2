/** Names on both sides of the border: camelCase here, snake_case in the core. */

const snakes = new Map<string, string>();

/** `maxOutputTokens` -> `max_output_tokens`. What is no plain name stays as it is. */
export function snake(key: string): string {
  let found = snakes.get(key);
  if (found === undefined) {
    const name = /^[a-z][a-zA-Z0-9]*$/.test(key);
    found = name ? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : key;
    if (snakes.size < 1000) snakes.set(key, found);
  }
  return found;
}

/** `max_output_tokens` -> `maxOutputTokens`, also inside of a path. */
export function camel(path: string): string {
  return path.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
