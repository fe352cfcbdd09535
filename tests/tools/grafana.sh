#!/usr/bin/env bash
# Holds the dashboards to the types that Grafana itself publishes: no key that it does not know, no value of another type, no word
# that is none of its own; and panels' options to those of their kind.
#
#   tests/tools/grafana.sh
#
# Needs node and npm; npm for @grafana/schema and typescript. What it does not show: how Grafana draws them.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"type": "module"}' > package.json
npm install --silent --no-fund --no-audit @grafana/schema@13.2.3 typescript@7.0.2
cat > loose.ts <<'TYPES'
// All keys optional, since Grafana has defaults; the members of an enumeration as the words that JSON has for them.
export type Loose<T> = unknown extends T ? unknown
  : T extends string ? `${T}`
  : T extends (infer U)[] ? Loose<U>[]
  : T extends object ? { [K in keyof T]?: Loose<T[K]> }
  : T;
TYPES
cat > write.mjs <<'WRITE'
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
const [from, spoil] = process.argv.slice(2);
const root = "@grafana/schema/dist/esm/raw";
const kinds = { stat: "Stat", timeseries: "TimeSeries", table: "Table", heatmap: "Heatmap", bargauge: "BarGauge", gauge: "Gauge",
  histogram: "Histogram", statetimeline: "StateTimeline", text: "Text", barchart: "BarChart" };
for (const file of readdirSync(from)) {
  const dashboard = JSON.parse(readFileSync(`${from}/${file}`));
  if (spoil === "key") dashboard.panels[0].gridPosition = dashboard.panels[0].gridPos;
  const withThresholds = dashboard.panels.find((panel) => panel.fieldConfig?.defaults?.thresholds);
  if (spoil === "word" && withThresholds) withThresholds.fieldConfig.defaults.thresholds.mode = "relative";
  const withOptions = dashboard.panels.find((panel) => panel.options);
  if (spoil === "option" && withOptions) withOptions.options.legends = {};
  // Prometheus' own keys beside those that every data source has, and one that Grafana writes and does not publish.
  let text = `import type { Dashboard, Panel, RowPanel, AnnotationQuery, VariableModel } from "${root}/dashboard/x/Dashboard_types.gen";
import type { Loose } from "./loose.ts";
type Query = AnnotationQuery & { expr: string; step: string; titleFormat: string; textFormat: string; tagKeys: string };
type Variable = VariableModel & { definition: string };
type Rest = Omit<Dashboard, "panels" | "annotations" | "templating">;
type Ours = Rest & { panels: (Panel | RowPanel)[]; annotations: { list: Query[] }; templating: { list: Variable[] } };
export const dashboard: Loose<Ours> = ${JSON.stringify(dashboard, null, 1)};
`;
  for (const [index, panel] of dashboard.panels.entries()) {
    if (!panel.options) continue;
    const name = kinds[panel.type];
    if (!name) throw new Error(`no types for panels of type ${panel.type}`);
    text += `import type { Options as Options${index} } from "${root}/composable/${panel.type}/panelcfg/x/${name}PanelCfg_types.gen";
export const options${index}: Loose<Options${index}> = ${JSON.stringify(panel.options, null, 1)};
`;
  }
  writeFileSync(file.replace(".json", ".ts"), text);
}
WRITE
check() { npx tsc --noEmit --strict --skipLibCheck --allowImportingTsExtensions --moduleResolution bundler --module esnext --target es2022 ./*.ts; }
node write.mjs "$here/deploy/grafana/dashboards"
check
# What is spoilt is seen.
for spoil in key word option; do
  node write.mjs "$here/deploy/grafana/dashboards" "$spoil"
  ! check > /dev/null || { echo "a spoilt $spoil is not seen" >&2; exit 1; }
done
echo "dashboards: $(ls "$here/deploy/grafana/dashboards" | wc -l) agree with the types of Grafana 13.2.3; a spoilt key, word and option do not"
