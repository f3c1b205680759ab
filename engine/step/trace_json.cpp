// A Trace as JSON, for `gradus step --json` and the page.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "engine/gradcheck.h"
#include "engine/io/json_number.h"
#include "engine/step/trace.h"

namespace gradus {

namespace {

// Six digits are what a person reads, and a page stays small. JSON has no NaN or infinity: those are strings.
Json rounded(double v) {
  char s[32];
  std::snprintf(s, sizeof s, "%.6g", v);
  return json_number(std::isfinite(v) ? std::strtod(s, nullptr) : v);
}
Json rounded(const std::vector<double>& x) {
  auto a = Json::array();
  for (const double v : x) a.push_back(rounded(v));
  return a;
}

Json of_value(const TraceValue& v) {
  Json j{{"name", v.name},
         {"place", v.place},
         {"shape", v.shape.sizes()},
         {"op", v.op},
         {"needs_grad", v.needs_grad},
         {"data", rounded(v.data)},
         {"grad", rounded(v.grad)},
         {"numeric", rounded(v.numeric)},
         {"checked", v.checked},
         {"worst", json_number(v.worst)},
         {"agrees", v.agrees}};
  if (!v.scope.empty()) j["scope"] = v.scope;
  if (v.rows >= 0) j["rows"] = v.rows;
  if (v.columns >= 0) j["columns"] = v.columns;
  return j;
}

Json of_op(const TraceOp& op) {
  Json in = Json::array();
  for (const TraceInput& i : op.in)
    in.push_back({{"value", i.value}, {"offset", i.offset}, {"shape", i.shape.sizes()}, {"name", i.name}});
  return {{"kind", op.kind->name},   {"in", in},
          {"out", op.out},           {"where", text(op.file, ':', op.line)},
          {"source", op.source},     {"forward", op.forward},
          {"backward", op.backward}, {"letters", op.letters},
          {"worked", op.worked},     {"element", op.element},
          {"ids", op.ids},           {"checked", op.checked},
          {"passes", op.passes},     {"error", json_number(op.error)}};
}

// `added` is left out where it is all of the gradient, and `now` where it is no more than what was added.
Json of_step(const Trace& t, const TraceStep& step) {
  Json adds = Json::array();
  for (const TraceAdd& a : step.adds) {
    const TraceInput& in = t.ops[size_t(step.op)].in[size_t(a.input)];
    Json j{{"input", a.input}, {"worked", a.worked}, {"element", a.element}};
    if (a.added != t.values[size_t(in.value)].grad) j["added"] = rounded(a.added);
    if (a.now != a.added) j["now"] = rounded(a.now);
    adds.push_back(std::move(j));
  }
  return {{"op", step.op}, {"adds", adds}};
}

Json of_update(const Trace& t, const TraceUpdate& u) {
  Json worked = Json::array();
  for (const std::string& line : u.worked) worked.push_back(line);
  Json j{{"value", u.value},          {"m", rounded(u.m)}, {"v", rounded(u.v)},   {"change", rounded(u.change)},
         {"after", rounded(u.after)}, {"worked", worked},  {"element", u.element}};
  if (!u.rule.empty()) j["rule"] = u.rule;
  if (u.clipped != t.values[size_t(u.value)].grad) j["clipped"] = rounded(u.clipped);
  return j;
}

// What a table says is not rounded.
Json of_table(const TraceTable& table) {
  Json rows = Json::array();
  for (const auto& row : table.rows) {
    Json cells = Json::array();
    for (const TraceTable::Cell& cell : row) {
      const auto* number = std::get_if<double>(&cell);
      cells.push_back(number ? json_number(*number) : Json(std::get<std::string>(cell)));
    }
    rows.push_back(std::move(cells));
  }
  Json j{{"title", table.title}, {"note", table.note}, {"columns", table.columns}, {"rows", rows}};
  if (!table.tinted.empty()) j["tinted"] = table.tinted;
  if (table.grouped) j["grouped"] = true;
  return j;
}

Json of_scenes(const std::vector<TraceScene>& scenes) {
  Json all = Json::array();
  for (const TraceScene& s : scenes) {
    Json tables = Json::array();
    for (const TraceTable& table : s.tables) tables.push_back(of_table(table));
    all.push_back(
        {{"title", s.title}, {"lines", s.lines}, {"formulas", s.formulas}, {"worked", s.worked}, {"tables", tables}});
  }
  return all;
}

}  // namespace

Json to_json(const Trace& t) {
  Json values = Json::array(), ops = Json::array(), steps = Json::array(), seeds = Json::array(),
       updates = Json::array(), tables = Json::array();
  for (const TraceValue& v : t.values) values.push_back(of_value(v));
  for (const TraceOp& op : t.ops) ops.push_back(of_op(op));
  for (const TraceStep& s : t.steps) steps.push_back(of_step(t, s));
  for (const auto& [value, grad] : t.seeds) seeds.push_back({{"value", value}, {"grad", rounded(grad)}});
  for (const TraceUpdate& u : t.updates) updates.push_back(of_update(t, u));
  for (const TraceTable& table : t.tables) tables.push_back(of_table(table));
  return {{"name", t.name},
          {"title", t.title},
          {"precision", t.precision},
          {"bound", kGradBound},
          {"note", t.note},
          {"loss", json_number(t.loss)},
          {"values", values},
          {"ops", ops},
          {"steps", steps},
          {"seeds", seeds},
          {"updates", updates},
          {"update_rule", t.update_rule},
          {"tables", tables},
          {"labels", t.labels},
          {"opening", of_scenes(t.opening)},
          {"closing", of_scenes(t.closing)}};
}

}  // namespace gradus
