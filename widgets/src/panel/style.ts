/** The panel's style sheet. */
import base from "../base/base.css";
import answers from "./answers.css";
import compact from "./compact.css";
import controls from "./controls.css";
import panel from "./panel.css";
import projector from "./projector.css";

export const css = [base, panel, controls, answers, projector, compact].join("\n");
