// The libraries, under the names that the page uses.
import { h, render } from "./vendor/preact.mjs";
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.mjs";
import htm from "./vendor/htm.mjs";

const html = htm.bind(h);

export { html, render, useEffect, useId, useLayoutEffect, useMemo, useRef, useState };
