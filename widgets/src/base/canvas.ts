/** A canvas at the screen's own resolution. */

export type Pen = CanvasRenderingContext2D;

/** Size a canvas in page pixels at the screen's own resolution; gives its pen, or null. */
export function prepare(canvas: HTMLCanvasElement, width: number, height: number): Pen | null {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen?.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (pen) pen.textBaseline = "middle";
  return pen;
}
