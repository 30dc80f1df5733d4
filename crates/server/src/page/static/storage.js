// What this browser remembers. A browser that forbids storage still chats, it only forgets.

const PREFIX = "seqline.";

export function load(key, otherwise) {
  try {
    const text = localStorage.getItem(PREFIX + key);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

export function save(key, value) {
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch { /* Full or forbidden. */ }
}

export function drop(key) {
  try {
    localStorage.removeItem(PREFIX + key);
  } catch { /* Forbidden. */ }
}

/** The stored keys that begin with `start`, without the common prefix. */
export function keys(start) {
  try {
    return Object.keys(localStorage)
      .filter((key) => key.startsWith(PREFIX + start))
      .map((key) => key.slice(PREFIX.length));
  } catch {
    return [];
  }
}
