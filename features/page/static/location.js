// The address of the view: paths are the page's, and links to them change the view without loading the page anew.
import { useEffect, useState } from "./base.js";

const listeners = new Set();

const read = () => ({ path: window.location.pathname, query: new URLSearchParams(window.location.search) });

function tell() {
	for (const listener of listeners) listener(read());
}

let hasMoved = false;

// After a change of the view, whoever reads it by ear or keyboard begins at its heading, also if that comes later than the view.
export function focusHeading() {
	const { activeElement } = document;
	if (hasMoved && (activeElement === document.body || activeElement === null)) document.querySelector("h1")?.focus();
}

export function go(url, { replace = false } = {}) {
	hasMoved = true;
	if (replace) history.replaceState(null, "", url);
	else history.pushState(null, "", url);
	tell();
}

// Changes some parameters of the address; null or "" takes one out.
export function change(parameters, options) {
	const { path, query } = read();
	for (const [name, value] of Object.entries(parameters)) {
		if (value === null || value === "") query.delete(name);
		else query.set(name, value);
	}
	const text = query.toString();
	go(text ? `${path}?${text}` : path, options);
}

export function useLocation() {
	const [location, setLocation] = useState(read);
	useEffect(() => {
		listeners.add(setLocation);
		return () => listeners.delete(setLocation);
	}, []);
	return location;
}

window.addEventListener("popstate", tell);
document.addEventListener("click", (event) => {
	const link = event.target.closest?.("a[href]");
	if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
	const url = new URL(link.href);
	const isOurs = url.origin === window.location.origin && (url.pathname === "/" || url.pathname.startsWith("/app"));
	if (!isOurs || link.hasAttribute("download") || link.target || url.hash) return;
	event.preventDefault();
	go(url.pathname + url.search);
	window.scrollTo(0, 0);
});
