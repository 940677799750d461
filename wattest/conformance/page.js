// A click on a column's head sorts by it; a second one turns the order round. Numbers begin with
// the greatest. Rows that are equal keep the order they have.
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = table.querySelectorAll('th[data-column]');
  for (const head of heads) {
    head.querySelector('button').addEventListener('click', () => {
      const column = Number(head.dataset.column);
      const numbers = head.classList.contains('number');
      const before = head.getAttribute('aria-sort');
      const up = before ? before === 'descending' : !numbers;
      for (const other of heads) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const body = table.tBodies[0];
      const value = row => row.cells[column].dataset.value;
      const rows = [...body.rows];
      rows.sort((first, second) => {
        const [a, b] = [value(first), value(second)];
        const order = numbers ? a - b : a < b ? -1 : a > b ? 1 : 0;
        return up ? order : -order;
      });
      body.append(...rows);
    });
  }
}
const filter = document.getElementById('filter');
if (filter) {
  filter.addEventListener('input', () => {
    const wanted = filter.value.toLowerCase();
    for (const item of document.querySelectorAll('.failure')) {
      item.hidden = !item.textContent.toLowerCase().includes(wanted);
    }
  });
}
