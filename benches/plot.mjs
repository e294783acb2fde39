// Curves and bars, drawn into an SVG file.
import { writeFileSync } from 'node:fs';
import { parse, View } from 'vega';
import { compile } from 'vega-lite';

const [WIDTH, HEIGHT] = [720, 150];

/**
 * Writes to the file `to` charts one below another, over one axis `x`, its title. Each chart is
 * `{ title, series: { name: [[x, y], …] }, scale }`; `title` is that of its axis, with the unit, `scale` `linear` or `symlog`.
 */
export async function plot(to, { title, x, charts }) {
  const specification = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title, background: 'white', resolve: { scale: { color: 'independent' } },
    vconcat: charts.map((chart) => drawn(chart, x)),
  };
  await draw(to, specification);
}

/**
 * Writes to the file `to` a bar for each of `values`, `{ name, value, low, high, isOurs }`, with a line from `low` to `high`, over
 * the axis `x`, its title.
 */
export async function bars(to, { title, x, values }) {
  const name = { field: 'name', type: 'nominal', sort: null, title: null, axis: { labelLimit: 0 } };
  const at = (field) => ({ field, type: 'quantitative', title: x });
  await draw(to, {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title, background: 'white', width: WIDTH, height: { step: 26 }, data: { values },
    encoding: { y: name },
    layer: [
      { mark: 'bar', encoding: { x: at('value'), color: { field: 'isOurs', type: 'nominal', legend: null, scale: { domain: [true, false], range: ['#2563eb', '#9ca3af'] } } } },
      { mark: 'rule', encoding: { x: at('low'), x2: { field: 'high' } } },
      { mark: { type: 'text', align: 'left', dx: 6 }, encoding: { x: at('high'), text: { field: 'value', format: '.2f' } } },
    ],
  });
}

async function draw(to, specification) {
  const view = new View(parse(compile(specification).spec), { renderer: 'none' });
  writeFileSync(to, `${await view.toSVG()}\n`);
  view.finalize();
}

function drawn({ title, series, scale = 'linear' }, x) {
  // A curve that is zero all along lies at the bottom.
  const largest = Math.max(...Object.values(series).flat().map(([, value]) => value)) || 1;
  const values = Object.entries(series).flatMap(([name, points]) => points.map(([at, value]) => ({ name, at, value })));
  return {
    width: WIDTH, height: HEIGHT, data: { values },
    mark: { type: 'line', strokeWidth: 1 },
    encoding: {
      x: { field: 'at', type: 'quantitative', title: x },
      y: { field: 'value', type: 'quantitative', title, scale: { type: scale, domain: [0, largest], nice: true } },
      color: { field: 'name', type: 'nominal', title: null, sort: Object.keys(series) },
    },
  };
}
