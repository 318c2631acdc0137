// The frame of the page: which view a path shows, the sign-in, and what concerns the whole page.
import { listen, setKey } from "./api.js";
import { html, render, useEffect, useLayoutEffect, useRef, useState } from "./base.js";
import { Home } from "./home.js";
import { Job } from "./job.js";
import { go, useLocation } from "./location.js";
import { useTitle } from "./parts.js";
import { Sending, forgetAll } from "./send.js";

const JOB = /^\/app\/jobs\/([^/]+)\/?$/;

function View({ location }) {
	if (location.path === "/" || location.path === "/app" || location.path === "/app/") return html`<${Home} query=${location.query} />`;
	const found = JOB.exec(location.path);
	if (found) return html`<${Job} key=${found[1]} id=${found[1]} query=${location.query} />`;
	return html`<${Lone} title="There is nothing here"><p>There is no page at this address. <a href="/">Go to the files</a>.</p><//>`;
}

function Lone({ title, children }) {
	useTitle(title);
	return html`<section class="lone"><h1 tabindex="-1">${title}</h1>${children}</section>`;
}

function SignIn({ wasWrong, onDone }) {
	const [key, change] = useState("");
	const field = useRef();
	useTitle("Sign in");
	useEffect(() => field.current.focus(), [wasWrong]);
	function send(event) {
		event.preventDefault();
		if (!key.trim()) return;
		setKey(key.replace(/[^!-~]/g, "")); // a pasted key may have blanks or characters that cannot be seen
		onDone();
	}
	return html`<section class="lone">
		<h1>Sign in</h1>
		<p>This service asks for an API key. It is kept until this tab is closed, and sent to this server only.</p>
		<form onSubmit=${send}>
			<label for="key">API key</label>
			<input id="key" ref=${field} type="password" autocomplete="off" value=${key} onInput=${(event) => change(event.target.value)}
				aria-invalid=${Boolean(wasWrong)} aria-describedby=${wasWrong ? "key-wrong" : undefined} />
			${wasWrong && html`<p id="key-wrong" class="wrong" role="alert">This key is not known here. Check it, or ask whoever runs the service for one.</p>`}
			<p class="actions"><button class="main" type="submit">Sign in</button></p>
		</form>
	</section>`;
}

function Frame() {
	const location = useLocation();
	const [isAway, setAway] = useState(false);
	const [access, setAccess] = useState({ turn: 0 });
	const main = useRef();
	const isFirst = useRef(true);
	useEffect(
		() =>
			listen((what) => {
				if ("away" in what) setAway(what.away);
				if (what.needsKey) setAccess((before) => ({ turn: before.turn, isNeeded: true, wasWrong: what.wasWrong }));
			}),
		[],
	);
	// After a change of the view, whoever reads it by ear or keyboard begins at its heading.
	useLayoutEffect(() => {
		if (!isFirst.current) main.current.querySelector("h1")?.focus();
		isFirst.current = false;
	}, [location.path]);
	function signOut() {
		forgetAll();
		setKey(null);
		setAccess((before) => ({ turn: before.turn + 1 }));
		go("/");
	}
	return html`<a class="skip" href="#main">Skip to the content</a>
		<header class="top">
			<a class="brand" href="/"><span aria-hidden="true" class="mark"></span>Rowgate</a>
			<nav aria-label="Page">
				<a href="/" aria-current=${location.path === "/" ? "page" : undefined}>Files</a>
				<a href="/docs">For programs</a>
				${sessionStorage.length > 0 && !access.isNeeded && html`<button type="button" class="link" onClick=${signOut}>Sign out</button>`}
			</nav>
		</header>
		${isAway && html`<p class="away" role="alert">The service does not answer. The page tries again by itself; nothing is lost.</p>`}
		<main id="main" ref=${main} tabindex="-1">
			${access.isNeeded
				? html`<${SignIn} wasWrong=${access.wasWrong} onDone=${() => setAccess((before) => ({ turn: before.turn + 1 }))} />`
				: html`<${View} key=${access.turn} location=${location} />`}
		</main>
		${location.path !== "/" && html`<${Sending} />`}`;
}

render(html`<${Frame} />`, document.getElementById("page"));
