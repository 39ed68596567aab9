/** `metav1.MicroTime`: the API server refuses anything but exactly six fractional digits. */
export function formatMicroTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}
