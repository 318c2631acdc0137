// The schema of a job as a table that can be corrected, and checking the file again with it.
import { ask, get, saveBlob } from "./api.js";
import { html, useEffect, useId, useMemo, useState } from "./base.js";
import { count, isOver, number } from "./format.js";
import { go } from "./location.js";
import { Failed, Loading, TextField, isOf, useAction, useLoaded } from "./parts.js";

const TYPES = ["string", "integer", "number", "boolean", "date", "time", "datetime", "year", "yearmonth", "duration", "list", "array", "object", "geopoint", "geojson", "any"];
const WORDS = { string: "text", integer: "whole number", number: "number", boolean: "yes or no", date: "date", time: "time", datetime: "date and time", yearmonth: "year and month", list: "list", array: "JSON array", object: "JSON object", geopoint: "place", geojson: "GeoJSON", any: "anything" };
const FORMATS = { string: ["default", "email", "uri", "uuid", "binary"], geopoint: ["default", "array", "object"], geojson: ["default", "topojson"] };
const TEMPORAL = ["date", "time", "datetime"];
const NUMERIC = ["integer", "number"];
const ORDERED = [...NUMERIC, ...TEMPORAL, "duration", "year", "yearmonth"];
const SIZED = ["string", "list", "array", "object", "geojson"];
// The properties that are shown, by the types that have them (null: all): name, where it stands, label, hint.
const RULES = [
	{ name: "decimalChar", label: "Decimal character", types: ["number"] },
	{ name: "groupChar", label: "Group character", types: NUMERIC, hint: "Between thousands, as in 1,000" },
	{ name: "trueValues", label: "Words for yes", types: ["boolean"], isList: true },
	{ name: "falseValues", label: "Words for no", types: ["boolean"], isList: true },
	{ name: "enum", label: "Allowed values", types: null, isList: true, isConstraint: true, isTyped: true },
	{ name: "minimum", label: "At least", types: ORDERED, isConstraint: true, isTyped: true },
	{ name: "maximum", label: "At most", types: ORDERED, isConstraint: true, isTyped: true },
	{ name: "minLength", label: "Characters at least", types: SIZED, isConstraint: true, isNumber: true },
	{ name: "maxLength", label: "Characters at most", types: SIZED, isConstraint: true, isNumber: true },
	{ name: "pattern", label: "Pattern (regular expression)", types: ["string"], isConstraint: true },
	{ name: "missingValues", label: "Words for an empty cell", types: null, isList: true, hint: "What is written where there is no value; one in each line. An empty cell always counts." },
];
const LIMITS = [["minimum", "at least"], ["maximum", "at most"], ["exclusiveMinimum", "more than"], ["exclusiveMaximum", "less than"], ["minLength", "characters at least"], ["maxLength", "characters at most"], ["pattern", "like"]];
const OF_TYPE = ["format", "decimalChar", "groupChar", "bareNumber", "trueValues", "falseValues", "delimiter", "itemType", "categories", "categoriesOrdered"];
const FIELDS_SHOWN = 100;

export function Schema({ job }) {
	const { data, failure, reload } = useLoaded((signal) => get(`/api/jobs/${job.id}/schema`, signal), [job.id, job.attempt, Boolean(job.source)]);
	const isUnknown = failure?.status === 404;
	return html`<section aria-labelledby="schema"><h2 id="schema">Columns and rules</h2>
		${failure && !isUnknown && html`<${Failed} failure=${failure} />`}
		${!data && !failure && html`<${Loading} />`}
		${isUnknown && !isOver(job) && html`<p class="nothing">They are known when the file has been opened. <button type="button" class="link" onClick=${reload}>Look again</button></p>`}
		${(data || (isUnknown && isOver(job))) && html`<${Editor} key=${job.attempt} job=${job} schema=${data ?? null} />`}
	</section>`;
}

function Editor({ job, schema }) {
	const [draft, setDraft] = useState(schema);
	const [reading, setReading] = useState({ dialect: "", encoding: "" });
	const [isAnew, setAnew] = useState(false);
	const [shown, setShown] = useState(FIELDS_SHOWN);
	const [undone, setUndone] = useState(0);
	const { run, isBusy, failure, setFailure } = useAction();
	const original = useMemo(() => JSON.stringify(schema), [schema]);
	const isChanged = JSON.stringify(draft) !== original;
	const errors = failure?.errors || [];
	const fields = draft?.fields || [];
	const setField = (place, change) => setDraft((before) => ({ ...before, fields: before.fields.map((field, each) => (each === place ? change(field) : field)) }));

	function send(event) {
		event.preventDefault();
		const body = {};
		if (isAnew) body.schema = null;
		else if (isChanged) body.schema = draft;
		if (reading.dialect.trim()) {
			try {
				body.dialect = JSON.parse(reading.dialect);
			} catch (error) {
				setFailure({ message: "The dialect is not JSON.", errors: [{ field: "dialect", message: error.message }] });
				return;
			}
		}
		if (reading.encoding.trim()) body.encoding = reading.encoding.trim();
		run(async () => {
			const next = await ask("POST", `/api/jobs/${job.id}/check-again`, { body });
			go(`/app/jobs/${next.id ?? next.job_id}`);
			window.scrollTo(0, 0);
		});
	}

	return html`<form onSubmit=${send}>
		${schema && html`<p class="hint">${isChanged ? "You have changed these rules; check the file again to see what they find." : "These are the rules that the file was checked by. Correct what is wrong, and check the file again: nothing has to be sent anew."}</p>
			<table class="schema">
				<thead><tr><th scope="col">Column</th><th scope="col">Holds</th><th scope="col">Written as</th><th scope="col">Required</th><th scope="col">Rules</th></tr></thead>
				<tbody key=${undone}>${fields.slice(0, shown).map((field, place) => html`<${Field} key=${place} field=${field} place=${place} errors=${errors.filter((error) => isOfField(error, place))} onChange=${(change) => setField(place, change)} />`)}</tbody>
			</table>
			${fields.length > shown && html`<p>${number(shown)} of ${count(fields.length, "column")} <button type="button" onClick=${() => setShown(shown + FIELDS_SHOWN)}>Show more</button></p>`}
			<p><${Download} schema=${draft} name=${job.filename} /></p>
			<p><label><input type="checkbox" checked=${isAnew} onChange=${(event) => setAnew(event.target.checked)} /> Forget these rules and find them again</label></p>`}
		<${Reading} reading=${reading} onChange=${setReading} errors=${errors} isOpen=${!schema} />
		<${Failed} failure=${failure} shown=${(error) => isShown(error, shown)} />
		<p class="actions"><button type="submit" class="main" disabled=${isBusy || !isOver(job)}>${isBusy ? "Starting …" : "Check with these rules"}</button>
			${isChanged && html` <button type="button" class="link" onClick=${() => { setDraft(schema); setFailure(null); setUndone(undone + 1); }}>Undo all changes</button>`}
			${!isOver(job) && html` <span class="hint">This can be done when the file has been checked.</span>`}</p>
	</form>`;
}

const isOfField = (error, place) => isOf(error, `schema/fields/${place}`);

const isShown = (error, fields) => isOf(error, "dialect") || isOf(error, "encoding") || Array.from({ length: fields }).some((_, place) => isOfField(error, place));

function Reading({ reading, onChange, errors, isOpen }) {
	const field = (name) => ({ name, errors, value: reading[name], onChange: (value) => onChange((before) => ({ ...before, [name]: value })) });
	return html`<details class="options" open=${isOpen || errors.some((error) => isOf(error, "dialect") || isOf(error, "encoding"))}>
		<summary>How the file is read</summary>
		<${TextField} ...${field("dialect")} label="Table Dialect (JSON)" hint='Only what is to be different, for example {"headerRows": [3]}, {"delimiter": ";"} or {"sheetName": "Orders"}.' rows="2" />
		<${TextField} ...${field("encoding")} label="Encoding" hint="For example windows-1252." />
	</details>`;
}

function Field({ field, place, errors, onChange }) {
	const [isOpen, setOpen] = useState(false);
	const id = useId();
	const type = field.type ?? "any";
	const constraints = field.constraints ?? {};
	useEffect(() => {
		if (errors.length) setOpen(true);
	}, [errors.length]);
	const set = (name, value) => onChange((before) => put(before, name, value));
	const setConstraint = (name, value) => onChange((before) => put(before, "constraints", emptyToNothing(put(before.constraints ?? {}, name, value))));
	const name = field.name || `column ${place + 1}`;
	function setType(value) {
		onChange((before) => {
			const kept = Object.fromEntries(Object.entries(before).filter(([each]) => !OF_TYPE.includes(each)));
			const left = Object.entries(before.constraints ?? {}).filter(([each]) => each === "required" || each === "unique");
			return put({ ...kept, type: value }, "constraints", emptyToNothing(Object.fromEntries(left)));
		});
	}
	return html`<tr class=${errors.length ? "wrong-field" : ""}>
			<th scope="row" dir="auto">${name}</th>
			<td><select aria-label=${`${name}: holds`} onChange=${(event) => setType(event.target.value)}>${TYPES.map((each) => html`<option value=${each} selected=${each === type}>${WORDS[each] ?? each}</option>`)}</select></td>
			<td><${Format} name=${name} type=${type} value=${field.format} onChange=${(value) => set("format", value)} /></td>
			<td><label class="box"><input type="checkbox" aria-label=${`${name}: required`} checked=${Boolean(constraints.required)} onChange=${(event) => setConstraint("required", event.target.checked || undefined)} /><span class="narrow">Required</span></label></td>
			<td><span dir="auto">${describe(field)}</span> <button type="button" class="link" aria-expanded=${isOpen} aria-controls=${isOpen ? id : undefined} onClick=${() => setOpen(!isOpen)}>${isOpen ? "Close" : "Change"}<span class="unseen"> the rules of ${name}</span></button></td>
		</tr>
		${isOpen && html`<tr class="rules" id=${id}><td colspan="5">
			${errors.length > 0 && html`<ul class="wrong" role="alert">${errors.map((error) => html`<li>${error.message}</li>`)}</ul>`}
			<div class="grid">${RULES.filter((rule) => !rule.types || rule.types.includes(type)).map((rule) => html`<${Rule} key=${rule.name + type} rule=${rule} type=${type} of=${name} value=${rule.isConstraint ? constraints[rule.name] : field[rule.name]} onChange=${(value) => (rule.isConstraint ? setConstraint : set)(rule.name, value)} />`)}
			${type !== "boolean" && html`<label class="box"><input type="checkbox" checked=${Boolean(constraints.unique)} onChange=${(event) => setConstraint("unique", event.target.checked || undefined)} /> Each value only once</label>`}</div>
		</td></tr>`}`;
}

function Format({ name, type, value, onChange }) {
	if (FORMATS[type]) return html`<select aria-label=${`${name}: written as`} onChange=${(event) => onChange(event.target.value === "default" ? undefined : event.target.value)}>${FORMATS[type].map((each) => html`<option value=${each} selected=${each === (value ?? "default")}>${each === "default" ? "–" : each}</option>`)}</select>`;
	if (TEMPORAL.includes(type)) return html`<input type="text" size="14" aria-label=${`${name}: written as`} placeholder="ISO 8601" value=${value === "default" ? "" : (value ?? "")} onInput=${(event) => onChange(event.target.value.trim() || undefined)} />`;
	return html`<span class="hint">–</span>`;
}

function Rule({ rule, type, of, value, onChange }) {
	const id = useId();
	// What is typed stays as it is typed; only what it means goes into the schema.
	const [text, setText] = useState(() => toText(rule, value));
	function input(event) {
		setText(event.target.value);
		onChange(fromText(rule, type, event.target.value));
	}
	const attributes = { id, value: text, onInput: input, spellcheck: false, dir: "auto", "aria-describedby": rule.hint ? `${id}-hint` : undefined };
	return html`<div class="field"><label for=${id}>${rule.label}<span class="unseen"> of ${of}</span></label>
		${rule.isList ? html`<textarea rows="3" placeholder="one in each line" ...${attributes}></textarea>` : html`<input type="text" size="12" ...${attributes} />`}
		${rule.hint && html`<p id=${`${id}-hint`} class="hint">${rule.hint}</p>`}</div>`;
}

function toText(rule, value) {
	if (value === undefined || value === null) return "";
	return rule.isList ? value.filter((each) => each !== "").map(String).join("\n") : String(value);
}

function fromText(rule, type, text) {
	if (rule.isList) {
		const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
		if (rule.name === "missingValues") return lines.length ? ["", ...lines] : undefined;
		return lines.length ? lines.map((line) => (rule.isTyped ? typed(line, type) : line)) : undefined;
	}
	if (text.trim() === "") return undefined;
	return rule.isTyped || rule.isNumber ? typed(text.trim(), rule.isNumber ? "integer" : type) : text;
}

// Numbers go as numbers, if JavaScript can hold them; all else as text, and the service says what it cannot read.
function typed(text, type) {
	const isNumber = [...NUMERIC, "year"].includes(type) && /^-?\d{1,15}(\.\d{1,15})?$/.test(text) && text.replace(/\D/g, "").length <= 15;
	return isNumber ? Number(text) : text;
}

function put(object, name, value) {
	const { [name]: _, ...rest } = object;
	return value === undefined ? rest : { ...rest, [name]: value };
}

const emptyToNothing = (object) => (Object.keys(object).length ? object : undefined);

function describe(field) {
	const constraints = field.constraints ?? {};
	const parts = [];
	if (field.groupChar || (field.decimalChar && field.decimalChar !== ".")) parts.push(`like 1${field.groupChar ?? ""}000${field.type === "number" ? `${field.decimalChar ?? "."}5` : ""}`);
	if (field.bareNumber === false) parts.push("with a currency, unit or sign around it");
	if (constraints.enum) parts.push(`one of ${count(constraints.enum.length, "value")}`);
	for (const [name, word] of LIMITS) if (constraints[name] !== undefined) parts.push(`${word} ${constraints[name]}`);
	if (constraints.unique) parts.push("each only once");
	const marks = (field.missingValues ?? []).filter(Boolean);
	if (marks.length) parts.push(`empty: ${marks.slice(0, 3).join(", ")}${marks.length > 3 ? " …" : ""}`);
	return parts.join("; ");
}

function Download({ schema, name }) {
	const blob = () => new Blob([JSON.stringify(schema, null, 2)], { type: "application/json" });
	return html`<button type="button" onClick=${() => saveBlob(blob(), `${name.replace(/\.[^.]*$/, "")}-schema.json`)}>Save these rules as a file</button>`;
}
