"""Every fault a person can make in a pipeline.yaml, one at a time: line, field and fix of the error."""

from pathlib import Path
from typing import NamedTuple

import pytest

from include.errors import ConfigError
from include.spec.load import parse

TEXTS = {name: Path(__file__).with_name(f"{name}.yaml").read_text("utf-8") for name in ("minimal", "every_kind")}


class Slip(NamedTuple):
    """One slip of the pen: what is replaced, and what the error must say."""

    old: str
    new: str
    line: str | None  # some text of the line the error must name, if it is not that of the slip
    field: str
    what: str
    fix: str


def slip(old: str, new: str, field: str, what: str, fix: str, line: str | None = None) -> Slip:
    return Slip(old, new, line, field, what, fix)


MINIMAL = [
    # keys
    slip("unit:", "unti:", "sources.fix.columns.fix_mxn.unti", "unknown key", "did you mean 'unit'?"),
    slip("r2_min:", "r2_mn:", "thresholds.r2_mn", "unknown key", "did you mean 'r2_min'?"),
    slip("replay:", "repaly:", "repaly", "unknown key", "did you mean 'replay'?"),
    slip("min: 1\n", "from_: x\n", "sources.fix.columns.fix_mxn.from_", "unknown key", "remove it"),
    slip("owner: credit-desk\n", "", "owner", "missing", "add `owner:` (text)", line="pipeline: peso"),
    slip("  min_rows: 250\n", "", "training.min_rows", "missing", "add `min_rows:` (a whole number)",
         line="training:"),
    slip("        unit: MXN/USD\n", "", "sources.fix.columns.fix_mxn.unit", "missing", "(text such as mg/m3)",
         line="fix_mxn:\n"),
    slip("        from: SF43718\n", "", "sources.fix.columns.fix_mxn.from", "missing", "`from:`", line="fix_mxn:\n"),
    slip("start: 2018", "start: 2018-01-01\n  start: 2018", "schedule.start", "is there twice", "remove one",
         line="start: 2018-01-01\n\n"),
    slip("  start: 2018", "  1: 2018", "schedule.1", "a key that is not text", "put it in quotes"),
    slip("owner: credit", "[owner]: credit", "", "a key that is a list or a mapping", "write a plain word"),
    # types
    slip("horizon: 1", "horizon: one", "target.horizon", "'one' is not a whole number", "write digits only"),
    slip("horizon: 1", "horizon: 1.5", "target.horizon", "1.5 is not a whole number", "write digits only"),
    slip("horizon: 1", "horizon: '1'", "target.horizon", "'1' is not a whole number", "without quotes"),
    slip("horizon: 1", "horizon: true", "target.horizon", "true is not a whole number", "write digits only"),
    slip("horizon: 1", "horizon: null", "target.horizon", "nothing is not a whole number", "or remove the key"),
    slip("r2_min: 0.68", "r2_min: '0,68'", "thresholds.r2_min", "'0,68' is not a number", "decimal point"),
    slip("min: 1\n", "min: .nan\n", "sources.fix.columns.fix_mxn.min", "'.nan' is not a number", "without quotes"),
    slip("min: 1\n", f"min: {'9' * 400}\n", "sources.fix.columns.fix_mxn.min", "inf is not a number",
         "without quotes"),
    slip("main: true", "main: yes", "sources.fix.main", "'yes' is not true or false", "write one of the two"),
    slip("from: SF43718", "from: 43718", "sources.fix.columns.fix_mxn.from", "43718 is not text", "put it in quotes"),
    slip('["N/E"]', "N/E", "sources.fix.missing", "'N/E' is not a list", "write it in brackets"),
    slip('["N/E"]', "[-200]", "sources.fix.missing[0]", "-200 is not text", "put it in quotes"),
    slip("periods: [1, 5]", "periods: 1", "features[1].periods", "1 is not a list", "write it in brackets"),
    slip("periods: [1, 5]", "periods: []", "features[1].periods", "holds 0 entries", "at least 1 entry"),
    slip("{column: fix_mxn, horizon: 1}", "fix_mxn", "target", "'fix_mxn' is not a mapping",
         "write `key: value` lines", line="target:"),
    slip("title: Next banking day's USD/MXN FIX", "title: FX", "title", "holds 2 letters", "at least 3 letters"),
    slip("tier_3", "tier_4", "impact", "'tier_4' is not allowed here", "did you mean 'tier_3'?"),
    slip("pipeline: peso", "pipeline: Peso", "pipeline", "'Peso' is not a plain name", "lower-case letters"),
    slip("    naive: {", "    Naive: {", "training.candidates.Naive", "is not a plain name", "lower-case letters"),
    # units, cron lines, zones, dates, spans
    slip("MXN/USD\n", "MXN/USDD\n", "sources.fix.columns.fix_mxn.unit", "is not a known unit",
         "did you mean 'MXN/USD'?"),
    slip("MXN/USD\n", "veh/h\n", "sources.fix.columns.fix_mxn.unit", "is not a known unit", "like other('veh/h')"),
    slip("MXN/USD\n", "10**10**10\n", "sources.fix.columns.fix_mxn.unit", "is not a known unit", "such as mg/m3"),
    slip("MXN/USD\n", "other()\n", "sources.fix.columns.fix_mxn.unit", "is not a known unit", "like other('veh/h')"),
    slip("30 13 * * 1-5", "30 13 * *", "schedule.cron", "is not a cron line of five fields", "write one such as"),
    slip("30 13 * * 1-5", "61 13 * * 1-5", "schedule.cron", "its minute '61' is out of range", "0 to 59"),
    slip("30 13 * * 1-5", "30 24 * * 1-5", "schedule.cron", "its hour '24' is out of range", "0 to 23"),
    slip("30 13 * * 1-5", "30 13 0-5 * 1-5", "schedule.cron", "its day of month '0-5' is out of range", "1 to 31"),
    slip("30 13 * * 1-5", "30 13 * */2,13 1-5", "schedule.cron", "its month '*/2,13' is out of range", "1 to 12"),
    slip("30 13 * * 1-5", "30 13 * * WEDS", "schedule.cron", "its day of week 'WEDS' is out of range", "0 to 7"),
    slip('"30 13 * * 1-5"', "'@daily'", "schedule.cron", "is not a cron line of five fields", "write one such as"),
    slip("30 13 * * 1-5", "0 0 31 2 *", "schedule.cron", "never comes round", "choose a day"),
    slip("America/Mexico_City\n", "UTC-9\n", "schedule.timezone", "is not an IANA", "is written 'Etc/GMT+9'"),
    slip("America/Mexico_City\n", "America/Mexico\n", "schedule.timezone", "is not an IANA", "'America/Mexico_City'?"),
    slip("America/Mexico_City\n", "''\n", "schedule.timezone", "is not an IANA", "use one such as", line="zone: ''"),
    slip("2018-01-01", "01/01/2018", "schedule.start", "'01/01/2018' is not a date", "such as 2025-01-31"),
    slip("2018-01-01", "2018-02-30", "schedule.start", "'2018-02-30' is not a date", "such as 2025-01-31"),
    slip("2018-01-01", "0018-01-01", "schedule.start", "is below 1900-01-01", "1900-01-01 or more"),
    slip("2018-01-01", "2018-01-01\n  end: 2017-01-01", "schedule.end", "is before start", "swap them",
         line="end: 2017"),
    slip("60 days", "sixty", "training.split.holdout", "is not a span of time", "write it like '14 days'"),
    slip("60 days", "30", "training.split.holdout", "30 does not have the right form", "like '30 days'"),
    slip("60 days", "'45'", "training.split.holdout", "'45' is not a span of time", "like '45 days'"),
    slip("60 days", "2.5", "training.split.holdout", "2.5 does not have the right form", "like '14 days'"),
    slip('time: "12:00"', "after: 6", "sources.fix.published.after", "6 does not have the right form", "'6 days'"),
    slip("60 days", "0 days", "training.split.holdout", "is no time at all", "write at least 1"),
    slip('"12:00"', '"25:00"', "sources.fix.published.time", "does not have the right form", "like '12:00'"),
    slip('time: "12:00"', "after: 1 hour, day: 3", "sources.fix.published.after", "stands beside day", "keep one"),
    # what a challenger has to show
    slip("replay:", "behaviour: [{kind: direction, feature: fix, never: lowers}]\nreplay:", "behaviour[0].feature",
         "'fix' is not a feature", "did you mean 'fix_mxn'?", line="behaviour:"),
    slip("replay:", "behaviour: [{kind: perturbation, features: [fix], at_most: 1}]\nreplay:",
         "behaviour[0].features[0]", "'fix' is not a feature", "did you mean 'fix_mxn'?", line="behaviour:"),
    slip("replay:", "predictions: {rollout: {mode: shadow}}\nreplay:", "predictions.rollout.mode",
         "none ever does here", "give promotion.shadow_rows 12 or more"),
    slip("replay:", "predictions: {rollout: {mode: canary}}\nreplay:", "predictions.rollout.share",
         "says how many requests a canary answers", "give it"),
    slip("replay:", "predictions: {rollout: {mode: canary, share: 0}}\nreplay:", "predictions.rollout.share",
         "0 is not above 0", "more than 0"),
    slip("replay:", "predictions: {rollout: {mode: canary, share: 1}}\nreplay:", "predictions.rollout.share",
         "1 is not below 1", "less than 1"),
    slip("replay:", "predictions: {rollout: {mode: shadow, share: 0.1}}\nreplay:", "predictions.rollout.share",
         "has no effect where mode is shadow", "mode: canary"),
    slip("replay:", "predictions: {limits: {warned_share: 1}}\nreplay:", "predictions.limits.warned_share",
         "1 is not below 1", "less than 1"),
    slip("replay:", "predictions: {rollout: {limits: {errors: 0.1}}}\nreplay:", "predictions.rollout.limits",
         "have no effect where mode is basic", "shadow or canary"),
    slip("replay:", "promotion: {protected: [fix]}\nreplay:", "promotion.protected[0]", "'fix' is not a feature",
         "did you mean 'fix_mxn'?", line="promotion:"),
    slip("replay:", "promotion: {slice_max_loss_pct: 5}\nreplay:", "promotion.slice_max_loss_pct",
         "of which there are none", "list some, or remove it", line="promotion:"),
    # thresholds and other numbers
    slip("r2_min: 0.68", "r2_min: 3", "thresholds.r2_min", "3 is above 1", "write 1 or less"),
    slip("r2_min: 0.68", "mean_shift_pct: 5", "thresholds.mean_shift_pct", "watches no feature", "list some"),
    slip("r2_min: 0.68", "mean_shift_pct: 0", "thresholds.mean_shift_pct", "not above 0", "write more than 0"),
    slip("r2_min: 0.68", "features: [fix]", "thresholds.features[0]", "'fix' is not a feature",
         "did you mean 'fix_mxn'?"),
    slip("min_rows: 250", "min_rows: 5", "training.min_rows", "5 is below 20", "write 20 or more"),
    slip("[1, 5]", "[0, 5]", "features[1].periods[0]", "0 is below 1", "write 1 or more"),
    slip("horizon: 1", "interval: 1, horizon: 1", "target.interval", "1 is not below 1", "write less than 1"),
    slip("min: 1\n", "min: 200\n", "sources.fix.columns.fix_mxn.min", "200 is not below max 100", "swap them"),
    slip("replay:", "monitoring: {costs: {training: 3, unit: MXN}}\nreplay:", "monitoring.costs.training",
         "is not enough to tell a price", "add promotion, error", line="costs:"),
    slip("replay:", "monitoring: {costs: {training_pct: 5, training: 3, promotion: 1, error: 2, unit: MXN}}\nreplay:",
         "monitoring.costs.training_pct", "stands beside training", "remove the other", line="costs:"),
    slip("replay:", "monitoring: {policies: {own: {business: true}}}\nreplay:", "monitoring.policies.own.business",
         "no outcome is declared", "add `monitoring.business`", line="policies:"),
    slip("replay:", "monitoring: {business: {column: fix_mxn, min: 5, max: 1}}\nreplay:", "monitoring.business.min",
         "5 is above max 1", "swap them", line="business:"),
    slip("replay:", "monitoring: {policies: {own: {harm: {odds: 10000000000000}}}}\nreplay:",
         "monitoring.policies.own.harm.odds", "10000000000000 is above 1000000000000", "or less", line="policies:"),
    slip("replay:", "monitoring: {policies: {own: {harm: {}, needed: 2, among: 3}}}\nreplay:",
         "monitoring.policies.own.needed", "counts for r2_min, mean_shift_pct and business only", "or remove it",
         line="policies:"),
    slip("replay:", "monitoring: {policies: {own: {worth: {}, needed: 1}}}\nreplay:",
         "monitoring.policies.own.needed", "counts for r2_min, mean_shift_pct and business only", "or remove it",
         line="policies:"),
    # kinds
    slip("kind: banxico", "kind: banxco", "sources.fix.kind", "'banxco' is no kind", "did you mean 'banxico'?"),
    slip("    kind: banxico\n", "", "sources.fix.kind", "missing", "banxico, csv_file, http_json, inegi, sql",
         line="  fix:"),
    slip("kind: difference", "kind: diff", "features[1].kind", "'diff' is no kind", "did you mean 'difference'?"),
    slip("linear: {kind: linear}", "linear: {kind: magic}", "training.candidates.linear.kind", "no kind",
         "use one of"),
    # columns, connections, names across sections
    slip("fix_mxn\n    periods", "fix_mx\n    periods", "features[1].column", "no source has", "'fix_mxn'?",
         line="fix_mx\n"),
    slip("{column: fix_mxn", "{column: fix", "target.column", "not in the main source 'fix'",
         "did you mean 'fix_mxn'?"),
    slip("value, column: fix_mxn", "value, column: fix.fix_mxn", "features[0].column", "named alone",
         "write 'fix_mxn'"),
    slip("horizon: 1", "horizon: 1, anchor: fix", "target.anchor", "'fix' is not a feature",
         "did you mean 'fix_mxn'?"),
    slip("{kind: naive}", "{kind: naive, by: hour}", "training.candidates.naive.by", "is not a feature", "use one of"),
    slip("connection: banxico_api", "connection: Banxico API", "sources.fix.connection", "not the plain name",
         "write an id"),
    slip("from: SF43718", "from: FIX", "sources.fix.columns.fix_mxn.from", "'FIX' is not a SIE series id", "SF43718"),
    slip("  fix:\n", "  history:\n", "sources.history", "a table of older versions", "rename it"),
    slip("      fix_mxn:\n", "      row_number:\n", "sources.fix.columns.row_number", "every table has", "rename"),
    slip("      fix_mxn:\n", "      valid_at:\n", "sources.fix.columns.valid_at", "every table has", "rename yours"),
    slip("    main: true\n", "", "sources", "exactly one source needs `main: true`, found none", "mark",
         line="sources:"),
    slip("    naive: {kind: naive}\n", "", "training.candidates", "none is of kind naive", "add `naive:",
         line="candidates:"),
    slip("MXN/USD\n", "MXN/USD\n        completeness: 0.5\n", "sources.fix.columns.fix_mxn.completeness",
         "0.5 is below 0.8", "add a `note`", line="completeness:"),
    slip("[1, 5]", "[1, 1]", "features[1]", "'fix_mxn_diff_1' is twice here", "remove it", line="kind: difference"),
    # the replay
    slip("end: 2025-04-01", "end: 2024-04-01", "replay.end", "is not after start", "swap them"),
    slip("end: 2025-04-01", "end: 2099-04-01, step: day", "replay.step", "windows", "choose a longer one"),
    slip("{start: 2025", "{history: [2024-01-01], start: 2025", "replay.history", "holds 1 entry",
         "exactly 2 entries"),
    slip("{start: 2025", "{history: [2024-01-02, 2024-01-01], start: 2025", "replay.history", "is not after",
         "swap them"),
    slip("{start: 2025", "{history: [2024-01-01, 2025-02-01], start: 2025", "replay.start", "inside history",
         "begin at"),
    slip("{start: 2025", "{start: 2017", "replay.start", "before schedule.start 2018-01-01", "move one of them"),
    # YAML itself
    slip("[1, 5]", "[1, 5", "", "not valid YAML", "close what is open: a ["),
    slip('1-5"', "1-5", "", "not valid YAML", "a quote left open above", line="published:"),
    slip("owner: credit-desk", "owner: credit: desk", "", "not valid YAML", "holds a colon in quotes"),
    slip("owner: credit-desk", "owner: @desk", "", "not valid YAML", "put text that begins with a sign"),
    slip("  timezone", "\ttimezone", "", "not valid YAML", "indent with spaces"),
    slip("owner: credit-desk", "owner: &team credit-desk\ntitle2: *team", "title2", "is an alias",
         "write the value out", line="title2:"),
    slip("owner: credit-desk", "owner: !!python/name:os.system x", "owner", "is a tag", "remove it"),
    slip("sources:", "---\nsources:", "", "a second document begins", "remove the ---", line="---"),
    slip("peso", "[" * 30 + "]" * 30, "pipeline" + "[0]" * 19, "nested more than 20 deep", "remove brackets",
         line="[[["),
    slip("peso", "pe\x07so", "", "a character YAML does not allow", "delete it"),
]  # fmt: skip

EVERY_KIND = [
    slip("main: true", "main: false", "sources", "exactly one source needs `main: true`", "mark", line="sources:"),
    slip("title: Interest", "main: true\n    title: Interest", "sources.rates.main", "found station, rates",
         "mark the one"),
    slip(", over: other_sensor", "", "features[3]", "this one has neither", "give one"),
    slip("over: other_sensor", "over: other_sensor, periods: 3", "features[3].periods", "this one has both",
         "give one"),
    slip("over: other_sensor", "over: rates.target_rate_pct", "features[3].over", "of another source",
         "columns of one"),
    slip("column: operations.net_usd", "column: station.sensor", "features[7].column", "is the main source",
         "kind: rolling"),
    slip("column: operations.net_usd", "column: sensor", "features[7].column", "the right form",
         "'operations.net_usd'"),
    slip("column: operations.net_usd", "column: operations.client_id", "features[7].column", "is personal data",
         "choose"),
    slip("column: operations.net_usd", "column: operations.client_name", "features[7].column", "is personal data",
         "choose"),
    slip("value, column: is_valid", "value, column: state_code", "features[8].column", "is text", "use kind: one_hot"),
    slip("value, column: is_valid", "value, column: checked_at", "features[8].column", "is a timestamp",
         "kind: calendar"),
    slip("value, column: is_valid", "value, column: co_mg_m3", "features[8].column", "for the same row",
         "use kind: lag"),
    slip("one_hot, column: state_code", "one_hot, column: sensor", "features[12].column", "sensor' is number",
         "kind: value"),
    slip("[on,", "[1,", "features[12].categories[0]", "'state_code' holds text, not 1", "put it in quotes"),
    slip("[5, 6]", "['5', 6]", "features[11].categories[0]", "'day_of_week' holds whole numbers", "without quotes"),
    slip("[5, 6]", "[1.5, 6]", "features[11].categories[0]", "1.5 is not", "put it in quotes"),
    slip("parts: [hour_of_day]", "parts: [hour]", "features[10].parts[0]", "'hour' is not allowed", "'hour_of_day'?"),
    slip("name: inflation_ratio", "name: sensor_diff_1", "features[4]", "is the name of features[2] too",
         "another `name`"),
    slip("name: inflation_ratio", "name: valid_at", "features[4]", "cannot be the name of a feature",
         "another `name`"),
    slip("target: {column: co_mg_m3", "target: {column: checked_at", "target.column", "is timestamp and", "a number"),
    slip("[operation_id]", "[operation]", "sources.operations.key[0]", "not among columns", "'operation_id'?"),
    slip("code, required: true", "code", "sources.operations.key[0]", "may be missing", "required: true",
         line="key: ["),
    slip("UTC, description", "UTC, personal: drop, description", "sources.station.columns.checked_at.personal",
         "only handled in sources of kind sql", "read it from a database"),
    slip("type: text, unit: code, personal: hash", "unit: code, personal: hash",
         "sources.operations.columns.client_id.personal", "a hash is text", "write type: text"),
    slip("personal: drop", "personal: drop, required: true", "sources.operations.columns.client_name.required",
         "a dropped column is never read", "remove `required`"),
    slip("type: text, unit: code, description", "type: text, unit: code, max: 3, description",
         "sources.station.columns.state_code.max", "is for numbers and this column is text", "remove it"),
    slip("{from: S2,", "{from: S1,", "sources.station.columns.other_sensor.from", "already read by 'sensor'",
         "remove one"),
    slip('"910392"', '"INPC"', "sources.prices.columns.inpc_index.from", "not an INEGI indicator id", "'910392'"),
    slip('decimal: ","', 'decimal: x', "sources.station.decimal", "is not allowed here", "use one of ., ,"),
    slip('delimiter: ";"', 'delimiter: ","', "sources.station.delimiter", "is the decimal mark too", "one of them"),
    slip('delimiter: ";"', 'delimiter: ";;"', "sources.station.delimiter", "holds 2 letters", "exactly 1 letter"),
    slip("latin-1", "latin-99", "sources.station.encoding", "is not a text encoding", "use one such as"),
    slip("latin-1", "base64", "sources.station.encoding", "is not a text encoding", "use one such as"),
    slip("%d/%m/%Y %H.%M.%S", "%d/%m %H.%M", "sources.station.time.format", "does not hold year", "write one such as"),
    slip("%d/%m/%Y %H.%M.%S", "%Q", "sources.station.time.format", "is not a strptime format", "write one such as"),
    slip("%d/%m/%Y %H.%M.%S", "%Y %Y", "sources.station.time.format", "is not a strptime format", "write one such as"),
    slip("path: /files", "path: https://h/files", "sources.station.path", "does not have the right form",
         "'/data/file.csv'"),
    slip("table: desk.operation", "table: operation", "sources.operations.table", "does not have the right form",
         "'desk.operation'"),
    slip("area: \"00\"", "area: 00", "sources.prices.area", "0 is not text", "put it in quotes"),
    slip("pipeline: every_kind", f"pipeline: {'p' * 40}", "sources.operations", "a name of 51 letters",
         "shorten it to 48", line="  operations:"),
    slip("[failure]", "[failures]", "alerts.on[0]", "'failures' is not allowed here", "did you mean 'failure'?"),
    slip("history: [2020", "history: [2019", "replay.history", "before schedule.start 2020-01-01", "move one of them"),
    slip("{start}", "{begin}", "sources.quotes.path", "'{begin}' is no bound", "use one of start, end"),
    slip("path: /v1/rates/{start}", "path: /v1/rates?x=1", "sources.quotes.path", "right form", "'/v2/rates'"),
    slip("{end_inclusive}", "{end_inclusiv}", "sources.quotes.params.to", "'{end_inclusiv}'", "'end_inclusive'?"),
    slip("{base: USD", "{base: 1", "sources.quotes.params.base", "1 is not text", "put it in quotes"),
    slip("{base: USD", "{page: '1'", "sources.quotes.pagination.param", "set by params already", "remove one",
         line="pagination: {kind: page"),
    slip("{base: USD", "{api_key: x", "sources.quotes.auth.name", "set by params already", "remove one",
         line="auth: {kind: query"),
    slip('date_format: "%Y-%m-%d"', 'date_format: "%m-%d"', "sources.quotes.date_format", "hold the year", "such as"),
    slip('date_format: "%Y-%m-%d"', 'date_format: "%y"', "sources.quotes.date_format", "of two digits", "use %Y"),
    slip("rows: $.results", "rows: results", "sources.quotes.rows", "is not a JSONPath", "such as $.results"),
    slip("rows: $.results", 'rows: "$.results[*]"', "sources.quotes.rows", "the single rows", "the list itself"),
    slip("rows: $.results", 'rows: "$.a[?("', "sources.quotes.rows", "is not a JSONPath", "such as $.results"),
    slip("from: [$.period.from]", 'from: ["$..from"]', "sources.quotes.time.from[0]", "several values", "a path of"),
    slip("from: [$.period.from]", "from: date", "sources.quotes.time.from", "'date' is not a list", "in brackets"),
    slip('"$.quotes[0].bid"', '"$.quotes[*].bid"', "sources.quotes.columns.bid_mxn.from", "several values",
         "a path of names"),
    slip("total: $.meta.found", "total: meta.found", "sources.quotes.pagination.total", "is not a JSONPath",
         "write one such as"),
    slip("{kind: page,", "{kind: pages,", "sources.quotes.pagination.kind", "is no kind", "'page'?"),
    slip("size_param: limit, size: 500, until: short", "size_param: limit", "sources.quotes.pagination.size_param",
         "has nothing to send", "add `size`"),
    slip("size_param: limit, size: 500, until: short", "until: short", "sources.quotes.pagination.until",
         "short means", "add `size`"),
    slip("{kind: query, name: api_key}", "{kind: query}", "sources.quotes.auth.name", "missing", "add `name:`"),
    slip("{requests: 30, per: 1 minute}", "{requests: 1, per: 1 day}", "sources.quotes.rate_limit.requests",
         "more than 10 minutes", "larger pages"),
    slip("name: X-API-Key", "name: 'X: y'", "sources.air.auth.name", "right form", "'X-API-Key'"),
]  # fmt: skip


CASES = [pytest.param(TEXTS[name], case, id=f"{name}-{case.field or 'file'}-{case.what}"[:90])
         for name, cases in (("minimal", MINIMAL), ("every_kind", EVERY_KIND)) for case in cases]  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_the_documents_the_slips_are_made_in_load(name: str) -> None:
    assert parse(TEXTS[name], f"{name}.yaml").feature_names()


@pytest.mark.parametrize(("text", "case"), CASES)
def test_a_slip_gives_one_line_with_file_line_field_and_fix(text: str, case: Slip) -> None:
    assert case.old in text, "the slip must change the document"
    broken = text.replace(case.old, case.new, 1)
    place = text.index(case.old) if case.line is None else broken.index(case.line)
    line = broken[:place].count("\n") + 1
    with pytest.raises(ConfigError) as error:
        parse(broken, "pipelines/x/pipeline.yaml")
    message = str(error.value)
    assert "\n" not in message, "one fault, one line"
    assert message.startswith(f"pipelines/x/pipeline.yaml:{line}: {case.field and case.field + ': '}")
    what, _, fix = message.removeprefix(f"pipelines/x/pipeline.yaml:{line}: ").partition(";")
    assert case.what in what
    assert case.fix in fix


@pytest.mark.parametrize(
    "misspelt", ["value, column: fix_mx", "value, column: usd", "rolling, window: 2, stats: [mean], column: fix_mx"]
)
def test_a_misspelt_column_draws_no_second_fault_about_its_feature(misspelt: str) -> None:
    name = "fix_mxn_mean_2" if "rolling" in misspelt else "fix_mxn"
    watched = TEXTS["minimal"].replace("r2_min: 0.68", f"mean_shift_pct: 5\n  features: [{name}]")
    broken = watched.replace("horizon: 1", f"horizon: 1, anchor: {name}").replace("value, column: fix_mxn", misspelt)
    with pytest.raises(ConfigError, match=r"^p.yaml:\d+: features\[0\].column: no source has the column [^\n]*$"):
        parse(broken, "p.yaml")


def test_beside_a_misspelt_column_a_reference_to_no_feature_is_told() -> None:
    broken = TEXTS["minimal"].replace("value, column: fix_mxn", "value, column: fix_mx")
    with pytest.raises(ConfigError, match=r"target.anchor: 'rate' is not a feature"):
        parse(broken.replace("horizon: 1", "horizon: 1, anchor: rate"), "p.yaml")


@pytest.mark.parametrize(
    ("written", "unit"),
    [("degF", "degF"), ("kW/m2", "kW/m2"), ("EUR/MWh", "EUR/MWh"), ('other("veh/h")', "veh/h"), ("other(NTU)", "NTU")],
)
def test_any_unit_is_allowed_known_or_declared_as_another(written: str, unit: str) -> None:
    pipeline = parse(TEXTS["minimal"].replace("MXN/USD", written), "p.yaml")
    assert pipeline.sources["fix"].columns["fix_mxn"].unit == unit


def test_each_of_several_faults_has_its_line_in_the_order_of_the_file() -> None:
    broken = TEXTS["minimal"].replace("horizon: 1", "horizon: one").replace("unit:", "unti:").replace("tier_3", "high")
    with pytest.raises(ConfigError) as error:
        parse(broken, "p.yaml")
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        "impact",
        "sources.fix.columns.fix_mxn.unti",
        "target.horizon",
    ]


def test_a_password_written_as_connection_is_not_repeated_in_the_error() -> None:
    broken = TEXTS["minimal"].replace("connection: banxico_api", "connection: postgresql://desk:hunter2@db/core")
    with pytest.raises(ConfigError) as error:
        parse(broken, "p.yaml")
    assert "hunter2" not in str(error.value)
    assert "keep host and password in the Airflow Connection" in str(error.value)


def test_a_canary_of_probabilities_has_no_interval_to_disagree_by() -> None:
    text = TEXTS["minimal"].replace("horizon: 1}", "horizon: 1, above: 18}").replace("tier_3", "tier_1")
    text = text.replace("thresholds:\n  r2_min: 0.68", "thresholds: {}\npromotion: {metric: brier}")
    rollout = "predictions: {rollout: {mode: shadow, limits: {disagreement: 0.2}}}\nreplay:"
    with pytest.raises(ConfigError, match=r"limits.disagreement: counts in widths .*, and a probability has none"):
        parse(text.replace("linear: {kind: linear}", "ridge: {kind: ridge}").replace("replay:", rollout), "p.yaml")


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n", "null\n", "~"])
def test_an_empty_file_is_a_fault_of_its_own(text: str) -> None:
    with pytest.raises(ConfigError, match=r"p.yaml:1: the file is empty; start from the example"):
        parse(text, "p.yaml")


@pytest.mark.parametrize("text", ["just text", "- a\n- list", "12"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"p.yaml:1: .* is not a mapping of keys to values; write `key: value`"):
        parse(text, "p.yaml")
