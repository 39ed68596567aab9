/**
 * As much of a text as is kept, in memory of its own. A slice alone is a view: it keeps the whole text that it was cut
 * from, a megabyte for a few characters.
 */
export function cutText(text: string, longest: number): string {
  return text.length <= longest ? text : Buffer.from(text.slice(0, longest)).toString();
}
