// Cells learn their column's name, so that on a phone a row can stand as a block (css/parts.css).
function nameCells() {
  for (const table of document.querySelectorAll('.table')) {
    const heads = [...table.tHead?.rows[0]?.cells ?? []];
    const names = heads.map((head) => (head.querySelector('.sr') ? '' : head.textContent.trim()));
    if (!names.length) continue;
    table.classList.add('is-named');
    for (const row of table.tBodies[0]?.rows ?? []) {
      for (const cell of row.querySelectorAll(':scope > td')) {
        const name = names[cell.cellIndex];
        if (name && cell.textContent.trim()) cell.dataset.label = name;
      }
      // What is cut short can be read whole.
      for (const cell of row.querySelectorAll(':scope > .p-name')) {
        if (cell.scrollWidth > cell.clientWidth) cell.title = cell.textContent.trim();
      }
    }
  }
}

nameCells();
document.addEventListener('htmx:after:swap', nameCells);
