// Rows as they stand in the file, with their bad cells marked and each sentence at its cell.
import { getRows } from "./api.js";
import { html, useEffect, useMemo, useRef, useState } from "./base.js";
import { columnLetters, isOver, number, visible } from "./format.js";
import { Bar, Failed, Loading, asFailure } from "./parts.js";

const CONTEXT = 3;
const COLUMNS_SHOWN = 30;
const PENDING_PAUSE_MS = 400;

export function Rows({ job, row, column = null }) {
	const { rows, pending, failure } = useRows(job, row);
	const [start, setStart] = useState(null);
	useEffect(() => setStart(null), [row, column]);
	if (!isOver(job)) return html`<p class="hint">The rows are shown here when the file has been checked.</p>`;
	if (failure) return html`<${Failed} failure=${failure} />`;
	if (pending) return html`<p role="status">The rows are being made ready, once for this file … <${Bar} value=${pending.progress} label="Rows made ready" /></p>`;
	if (!rows) return html`<${Loading} />`;
	if (!rows.rows.length) return html`<p>The file has no such row.</p>`;
	return html`<${Table} rows=${rows} row=${row} column=${column} start=${start} onStart=${setStart} />`;
}

function Table({ rows, row, column, start, onStart }) {
	const width = useMemo(() => Math.max(rows.columns.length, ...rows.rows.map((each) => each.cells.length)), [rows]);
	const first = start ?? Math.max(0, Math.min((column ?? 1) - 1 - Math.floor(COLUMNS_SHOWN / 2), width - COLUMNS_SHOWN));
	const places = Array.from({ length: Math.min(COLUMNS_SHOWN, width - first) }, (_, place) => first + place);
	const hasMore = width > COLUMNS_SHOWN;
	// The bad cell may stand far to the right.
	const box = useRef();
	useEffect(() => {
		const cell = box.current.querySelector(".chosen");
		if (cell) box.current.scrollLeft = cell.offsetLeft - (box.current.clientWidth - cell.offsetWidth) / 2;
	}, [rows, row, column, first]);
	return html`<div class="scroll" ref=${box} role="region" tabindex="0" aria-label=${`Rows around row ${row}`}>
			<table class="rows">
				<thead><tr><th scope="col">Row</th>${places.map((place) => html`<th scope="col" key=${place}><span class="letters">${columnLetters(place + 1)}</span> <span dir="auto">${rows.columns[place] ?? html`<i>no label</i>`}</span></th>`)}</tr></thead>
				<tbody>${rows.rows.map((each) => html`<${Row} key=${each.row_number} row=${each} places=${places} isCurrent=${each.row_number === row} column=${column} />`)}</tbody>
			</table>
		</div>
		${hasMore && html`<p class="columns">Columns ${number(first + 1)} to ${number(first + places.length)} of ${number(width)}
			<button type="button" disabled=${first === 0} onClick=${() => onStart(Math.max(0, first - COLUMNS_SHOWN))}>Columns before</button>
			<button type="button" disabled=${first + places.length >= width} onClick=${() => onStart(Math.min(width - 1, first + COLUMNS_SHOWN))}>Columns after</button></p>`}`;
}

function Row({ row, places, isCurrent, column }) {
	const ofRow = row.errors.filter((error) => error.column_number === null);
	const ofCell = (place) => row.errors.filter((error) => error.column_number === place + 1);
	return html`<tr class=${isCurrent ? "current" : ""}>
		<th scope="row">${number(row.row_number)}${isCurrent && html`<span class="unseen"> (this row)</span>`}${ofRow.map((error) => html`<span class="why">${error.error_message}</span>`)}</th>
		${places.map((place) => {
			const errors = ofCell(place);
			const text = row.cells[place];
			const look = `${errors.length ? "bad" : ""} ${isCurrent && place + 1 === column ? "chosen" : ""}`;
			return html`<td key=${place} class=${look.trim() || undefined}><span class="cell" dir="auto">${shown(text, errors.length > 0, place < row.cells.length)}</span>${errors.map((error) => html`<span class="why">${error.error_message}</span>`)}</td>`;
		})}
	</tr>`;
}

function shown(text, isBad, isThere) {
	if (text === null || text === undefined) return isBad || isThere ? html`<i>no cell</i>` : "";
	return isBad ? visible(text) : text;
}

// The rows around a row; they are made ready when they are first asked for, which takes seconds for a large file.
function useRows(job, row) {
	const [state, setState] = useState({});
	const isEnded = isOver(job);
	useEffect(() => {
		if (!isEnded) return undefined;
		const controller = new AbortController();
		let timer;
		async function load() {
			try {
				const { found, pending } = await getRows(job.id, { around_row: row, context: CONTEXT }, controller.signal);
				if (controller.signal.aborted) return;
				setState({ rows: found, pending });
				if (pending) timer = setTimeout(load, PENDING_PAUSE_MS);
			} catch (error) {
				if (!controller.signal.aborted) setState({ failure: asFailure(error) });
			}
		}
		load();
		return () => {
			controller.abort();
			clearTimeout(timer);
		};
	}, [job.id, job.attempt, isEnded, row]);
	return state;
}
