// What a message says. This page writes
// {"id", "from", "to" | "group", "members"?, "text", "at"}; other clients write what they like.

const string = (value) => (typeof value === "string" && value !== "" ? value : undefined);

function time(value) {
  let at = NaN;
  // Seconds or milliseconds: what would be a date before 1973 in milliseconds is in seconds.
  if (typeof value === "number") at = Math.abs(value) < 1e11 ? value * 1000 : value;
  else if (typeof value === "string") at = Date.parse(value);
  // Beyond this no calendar goes.
  return Math.abs(at) <= 8.64e15 ? at : undefined;
}

/** Reads the stored text of a message. Fields that are missing or of another shape are absent. */
export function parse(raw) {
  let value;
  try {
    value = JSON.parse(raw);
  } catch {
    return { raw };
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) return { raw };
  const members = Array.isArray(value.members)
    ? value.members.filter((member) => string(member))
    : undefined;
  return {
    raw,
    id: string(value.id),
    from: string(value.from),
    to: string(value.to),
    group: string(value.group) ?? string(value.group_name),
    members: members?.length ? members : undefined,
    text: [value.text, value.message, value.content, value.body].find((t) => typeof t === "string"),
    at: time(value.at ?? value.time ?? value.timestamp),
  };
}

/** The conversation a message of `me`'s inbox says it belongs to: `[kind, name]`. */
export function placeOf(message, me) {
  if (message.group !== undefined) return ["g", message.group];
  if (message.from !== undefined && message.to !== undefined) {
    if (message.from === me) return ["d", message.to];
    if (message.to === me) return ["d", message.from];
  }
  return ["o", ""];
}

/** What tells this message from others: its id, or its whole text. */
export const keyOf = (message) => (message.id ? `id:${message.id}` : message.raw);

/** One line for lists and announcements. */
export const preview = (message) => (message.text ?? message.raw).slice(0, 200).replace(/\s+/g, " ");
