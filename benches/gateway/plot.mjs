// CPU per request of the first group, as bars, with the lowest and the highest ratio as a line.

const [LEFT, WIDTH, ROW] = [290, 420, 30];

export function plot({ groups: [{ title, variants }] }) {
  const shown = variants.filter(({ name }) => !name.includes('cold'));
  const most = Math.max(...shown.map(({ cpu_ratio_to: to }) => to));
  const x = (ratio) => Math.round(LEFT + WIDTH * ratio / most);
  const bars = shown.map(({ name, cpu_ratio: ratio, cpu_ratio_from: from, cpu_ratio_to: to }, index) => {
    const y = 40 + index * ROW;
    return `<text x="${LEFT - 10}" y="${y + 15}" text-anchor="end">${name}</text>
<rect x="${LEFT}" y="${y}" width="${x(ratio) - LEFT}" height="20" fill="${name.startsWith('Deputy') ? '#2563eb' : '#9ca3af'}"/>
<line x1="${x(from)}" x2="${x(to)}" y1="${y + 10}" y2="${y + 10}" stroke="#111827"/>
<text x="${x(to) + 8}" y="${y + 15}">${ratio.toFixed(2)}</text>`;
  });
  const height = 50 + shown.length * ROW;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 70}" height="${height}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
<text x="10" y="22" font-weight="bold">${title}: CPU of Envoy per request, against Envoy without filters</text>
${bars.join('\n')}
</svg>
`;
}
