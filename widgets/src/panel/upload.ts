/** An image file as bytes that fit into one message: large photographs are made smaller first. */

/** Bytes up to which a file is sent as it is; hosts limit what one message may hold. */
const MOST_BYTES = 3_000_000;
/** Longer side to which a larger image is scaled. */
const SIDE = 1568;

/** Width and height that keep the shape and fit into a square of `side`. */
export function fitted(width: number, height: number, side: number): [number, number] {
  const scale = Math.min(1, side / Math.max(width, height, 1));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

export async function bytesOf(file: File): Promise<ArrayBuffer> {
  if (file.size <= MOST_BYTES) return file.arrayBuffer();
  const bitmap = await createImageBitmap(file);
  const [width, height] = fitted(bitmap.width, bitmap.height, SIDE);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser cannot scale the image");
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 })).arrayBuffer();
}
