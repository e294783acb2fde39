// Curves, drawn into an SVG file.
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
