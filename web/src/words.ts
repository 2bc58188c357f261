/** What is wrong with a microphone or a camera, and what to do about it. */

export type Device = "microphone" | "camera";

const UNTIL_THEN: Record<Device, string> = {
  microphone: "Until then you can type.",
  camera: "The conversation goes on without it.",
};

/** Why a browser gives no device to this page at all; null when it would. */
export function insecureOrigin(isSecure: boolean, origin: string): string | null {
  if (isSecure) return null;
  return (
    `Browsers give a microphone and a camera only to pages from localhost or over https, and this one comes from ${origin}. ` +
    "Open it over https, or through a tunnel as localhost (see docs/page.md). Until then you can type."
  );
}

export function deviceProblem(device: Device, error: unknown): string {
  const name = error instanceof Error ? error.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return (
        `The browser does not let this page use the ${device}. ` +
        `Allow it with the icon beside the address, then try again. ${UNTIL_THEN[device]}`
      );
    case "NotFoundError":
    case "OverconstrainedError":
      return `No ${device} was found. Plug one in or choose another one in the settings. ${UNTIL_THEN[device]}`;
    case "NotReadableError":
    case "AbortError":
      return `The ${device} cannot be opened; another program may be using it. Close that, then try again. ${UNTIL_THEN[device]}`;
    default:
      return `The ${device} cannot be opened (${name || String(error)}). ${UNTIL_THEN[device]}`;
  }
}
