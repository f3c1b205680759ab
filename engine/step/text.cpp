// Over 350 lines: what is seen at every kind of place of a walk, and how it is fitted into a terminal.
#include "engine/step/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "engine/error.h"
#include "engine/gradcheck.h"
#include "engine/step/math.h"

namespace gradus {

namespace {

// Code points of UTF-8.
size_t characters(const std::string& s) {
  return size_t(std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}
std::string left(const std::string& s, size_t width) {
  return s + std::string(width - std::min(width, characters(s)), ' ');
}
std::string right(const std::string& s, size_t width) {
  return std::string(width - std::min(width, characters(s)), ' ') + s;
}
// At most `columns` characters, the last of them dots where it is more.
std::string cut(const std::string& s, size_t columns) {
  if (characters(s) <= columns) return s;
  size_t end = 0;
  for (size_t n = 0; n < columns; ++n) do
      ++end;
    while (end < s.size() && (s[end] & 0xC0) == 0x80);
  while (--end > 0 && (s[end] & 0xC0) == 0x80) {
  }
  return s.substr(0, end) + "…";
}

// The words of `s` in lines of at most `columns`, the first behind `indent` spaces, the others two further.
std::string wrapped(const std::string& s, size_t indent, size_t columns) {
  std::istringstream words(s);
  std::string out, line(indent, ' ');
  for (std::string word; words >> word;) {
    const bool first = line.find_first_not_of(' ') == std::string::npos;
    if (!first && characters(line) + 1 + characters(word) > columns) {
      out += line + '\n';
      line = std::string(indent + 2, ' ') + word;
    } else {
      line += (first ? "" : " ") + word;
    }
    line = cut(line, columns);
  }
  return out + line + '\n';
}

// As many significant digits, four at most, as fit into `width`.
std::string digits(double x, size_t width) {
  char s[32];
  if (brief(x).size() <= width || !std::isfinite(x)) return brief(x);
  for (int n = 3; n > 0; --n) {
    std::snprintf(s, sizeof s, "%.*g", n, x);
    if (std::string(s).size() <= width) break;
  }
  return s;
}

// "w [2,3]" and the rows of numbers beside it, or below it where both are wide. What does not fit is left out with
// dots.
std::string entry(const std::string& name, const Shape& shape, const std::vector<double>& x, const TextSize& size) {
  const size_t M = shape.rank() > 0 ? size_t(shape[-1]) : 1, N = M > 0 ? x.size() / M : 0;
  const size_t number = M > 6 ? 7 : 9, indent = M > 6 ? 14 : 26;
  const std::string head = "  " + cut(name + " " + text(shape), size.columns - 2);
  const bool below = characters(head) > indent;
  std::string s = below ? head + '\n' : left(head, indent);
  const size_t shown = std::min(M, (size.columns - indent - (M > 8 ? 2 : 0)) / (number + 1));
  const size_t most = size_t(std::max<int64_t>(size.rows, 1)), rows = N > most ? std::max<size_t>(most - 1, 1) : N;
  for (size_t n = 0; n < rows; ++n) {
    if (n > 0 || below) s += std::string(indent, ' ');
    for (size_t m = 0; m < shown; ++m) s += " " + right(digits(x[n * M + m], number), number);
    s += shown < M ? " …\n" : "\n";
  }
  if (N == 0) s += '\n';
  return N > rows ? s + std::string(indent, ' ') + text(" … ", N - rows, N - rows == 1 ? " more row\n" : " more rows\n")
                  : s;
}

std::string gradient_of(const std::string& name) { return "∂" + in_brackets(name); }

std::string call_text(const Trace& t, const TraceOp& op) {
  std::string s;
  for (size_t i = 0; i < op.out.size(); ++i) s += (i ? ", " : "") + t.values[size_t(op.out[i])].name;
  s += text(" = ", op.kind->name, "(");
  for (size_t i = 0; i < op.in.size(); ++i) s += (i ? ", " : "") + op.in[i].name;
  return s + ")";
}

std::vector<double> part(const std::vector<double>& x, int64_t offset, const Shape& shape) {
  if (x.empty()) return {};
  return {x.begin() + offset, x.begin() + offset + shape.numel()};
}

// "backward 2/5, op 2: s² = mul(s, s)", its source line and formula.
std::string heading(const Trace& t, const TraceOp& op, const std::string& where, const std::string& formula,
                    const TextSize& size) {
  const auto number = &op - t.ops.data();
  std::string s = wrapped(text(where, ", op ", number, ":  ", call_text(t, op)), 0, size.columns);
  s += cut(text("  ", op.file, ':', op.line, op.source.empty() ? "" : "  " + op.source), size.columns) + '\n';
  return s + wrapped(formula + (op.letters.empty() ? "" : "    (" + op.letters + ")"), 2, size.columns);
}

// Steps that add to a value, up to and with step `last`.
int additions(const Trace& t, int value, int last) {
  int n = 0;
  for (int s = 0; s <= last; ++s)
    for (const TraceAdd& a : t.steps[size_t(s)].adds)
      n += t.ops[size_t(t.steps[size_t(s)].op)].in[size_t(a.input)].value == value;
  return n;
}

// Whether add `a` is the last of its step to the same value.
bool is_last(const TraceOp& op, const TraceStep& step, const TraceAdd& a) {
  return std::none_of(&a + 1, step.adds.data() + step.adds.size(),
                      [&](const TraceAdd& b) { return op.in[size_t(b.input)].value == op.in[size_t(a.input)].value; });
}

std::string seeds_text(const Trace& t, const TextSize& size) {
  std::string s = text("Backward begins. The loss is ", brief(t.loss), ".\n");
  for (const auto& [value, grad] : t.seeds) {
    const TraceValue& v = t.values[size_t(value)];
    const bool whole = t.seeds.size() == 1 && grad.size() == 1;
    s += whole ? "Its gradient with respect to itself is\n" : "Its gradient with respect to " + v.name + " is\n";
    s += entry(gradient_of(v.name), v.shape, grad, size);
  }
  return s;
}

std::string update_text(const Trace& t, const TraceUpdate& u, const TextSize& size) {
  const TraceValue& v = t.values[size_t(u.value)];
  std::string s = text("parameter ", &u - t.updates.data() + 1, '/', t.updates.size(), ":  ", v.name, '\n');
  for (const std::string& line : u.rule.empty() ? t.update_rule : u.rule) s += wrapped(line, 2, size.columns);
  s += entry("w = " + v.name, v.shape, v.data, size) + entry("its gradient", v.shape, v.grad, size);
  if (u.clipped != v.grad) s += entry("g", v.shape, u.clipped, size);
  s += entry("m", v.shape, u.m, size) + entry("v", v.shape, u.v, size);
  return s + entry("change of w", v.shape, u.change, size) + entry("→ w", v.shape, u.after, size);
}

const TraceUpdate* update_at(const Trace& t, int position) {
  const bool is_update = position >= t.first_update() && position < t.first_closing();
  return is_update ? &t.updates[size_t(position - t.first_update())] : nullptr;
}

std::string title_of(const Trace& t) { return t.title.empty() ? t.name : t.name + ": " + t.title; }

constexpr const char kKeys[] =
    "n next  p back  s start  f forward  b backward  u update  e end  g go to op\n"
    "j jump to name  w with the numbers put in  v verify by differences  q quit\n";

// A token as it is seen: blanks and ends of lines have signs of their own, as on the page.
std::string seen(const std::string& word) {
  if (word.empty()) return "∅";
  if (word == "<|endoftext|>") return "⟨end⟩";
  const bool quoted = word.starts_with("“") && word.find("”") != word.npos;  // a text: its blanks can be seen
  std::string s;
  for (const char c : word)
    s += c == ' ' && !quoted              ? "␣"
         : c == '\n'                      ? "↵"
         : c == '\t'                      ? "⇥"
         : uint8_t(c) < 0x20 || c == 0x7F ? "?"
                                          : std::string(1, c);
  return s;
}

// Column after column as far as they fit; numbers to the right.
std::string table_text(const TraceTable& table, const TextSize& size) {
  constexpr size_t kNumber = 9;  // characters
  std::string s = table.title.empty() ? "" : wrapped(table.title + "  " + table.note, 2, size.columns);
  std::vector<size_t> width;
  std::vector<std::vector<std::string>> cells(table.rows.size());
  std::vector<bool> is_number(table.columns.size(), true);
  for (size_t c = 0; c < table.columns.size(); ++c) {
    width.push_back(characters(table.columns[c]));
    for (size_t r = 0; r < table.rows.size(); ++r) {
      const TraceTable::Cell& cell = table.rows[r][c];
      const auto* number = std::get_if<double>(&cell);
      const bool again = table.grouped && c == 0 && r > 0 && cell == table.rows[r - 1][0];
      cells[r].push_back(again ? "" : number ? digits(*number, kNumber) : seen(std::get<std::string>(cell)));
      is_number[c] = is_number[c] && number;
      width[c] = std::max(width[c], characters(cells[r].back()));
    }
  }
  const size_t most = size_t(std::max<int64_t>(size.rows, 1)),
               rows = cells.size() > most ? std::max<size_t>(most - 1, 1) : cells.size();
  const auto line = [&](const std::vector<std::string>& words) {
    std::string all = " ";
    for (size_t c = 0; c < words.size(); ++c)
      all += (c ? "  " : " ") + (is_number[c] ? right(words[c], width[c]) : left(words[c], width[c]));
    all.erase(all.find_last_not_of(' ') + 1);
    return cut(all, size.columns) + '\n';
  };
  s += line(table.columns);
  for (size_t r = 0; r < rows; ++r) s += line(cells[r]);
  if (rows < cells.size())
    s += text("  … ", cells.size() - rows, cells.size() - rows == 1 ? " more row\n" : " more rows\n");
  return s;
}

std::string scene_text(const Trace& t, int position, const TextSize& size) {
  const TraceScene& scene = *t.scene(position);
  std::string s = wrapped(scene.title, 0, size.columns);
  for (const std::string& line : scene.lines) s += wrapped(line, 2, size.columns);
  for (const std::string& line : scene.formulas) s += wrapped(line, 2, size.columns);
  for (const TraceTable& table : scene.tables) s += table_text(table, size);
  return s;
}

}  // namespace

int step_at(const Trace& t, int position) { return std::min(position, t.first_update() - 1) - t.begin() - 1; }

std::string position_text(const Trace& t, int position, const TextSize& size) {
  if (t.scene(position)) return scene_text(t, position, size);
  if (const TraceUpdate* u = update_at(t, position)) return update_text(t, *u, size);
  const int step = step_at(t, position);
  if (step == -1) return seeds_text(t, size);
  if (step < 0) {
    const int i = position - t.first_op();
    const TraceOp& op = t.ops[size_t(i)];
    std::string s = heading(t, op, text("forward ", i + 1, "/", t.ops.size()), op.forward, size);
    for (const TraceInput& in : op.in)
      s += entry(in.name, in.shape, part(t.values[size_t(in.value)].data, in.offset, in.shape), size);
    for (const int out : op.out)
      s += entry("→ " + t.values[size_t(out)].name, t.values[size_t(out)].shape, t.values[size_t(out)].data, size);
    return s;
  }
  const TraceStep& at = t.steps[size_t(step)];
  const TraceOp& op = t.ops[size_t(at.op)];
  std::string s = heading(t, op, text("backward ", step + 1, "/", t.steps.size()), op.backward, size);
  for (const int out : op.out)
    if (const TraceValue& v = t.values[size_t(out)]; !v.grad.empty())
      s += entry("arrived: " + gradient_of(v.name), v.shape, v.grad, size);
  for (const TraceAdd& a : at.adds) {
    const TraceInput& in = op.in[size_t(a.input)];
    s += entry(gradient_of(in.name) + " +=", in.shape, a.added, size);
    if (is_last(op, at, a) && a.now != a.added) s += entry("  now " + gradient_of(in.name), in.shape, a.now, size);
  }
  return s;
}

std::string worked_text(const Trace& t, int position, const TextSize& size) {
  std::string s;
  const auto show = [&](const std::string& name, const std::string& worked, const std::string& rule) {
    s += wrapped(name + (worked.starts_with("element") ? ", " : ": ") + (worked.empty() ? rule : worked), 2,
                 size.columns);
  };
  const int step = step_at(t, position);
  if (const TraceScene* scene = t.scene(position)) {
    for (const std::string& line : scene->worked) s += wrapped(line, 2, size.columns);
  } else if (const TraceUpdate* u = update_at(t, position)) {
    for (const std::string& line : u->worked) s += wrapped(line, 2, size.columns);
  } else if (step >= 0) {
    const TraceStep& at = t.steps[size_t(step)];
    const TraceOp& op = t.ops[size_t(at.op)];
    for (const TraceAdd& a : at.adds) show(gradient_of(op.in[size_t(a.input)].name), a.worked, op.backward);
  } else if (step < -1) {
    const TraceOp& op = t.ops[size_t(position - t.first_op())];
    show(t.values[size_t(op.out[0])].name, op.worked, op.forward);
  } else {
    s = "Press n: the numbers are put into the rule of each op.\n";
  }
  return s;
}

static double largest(const std::vector<double>& gradient) {
  double most = 0;
  for (const double g : gradient) most = std::max(most, std::fabs(g));
  return most;
}

std::string check_text(const Trace& t, int position, const TextSize& size) {
  const int step = step_at(t, position);
  if (position >= t.first_update() || step < 0)
    return "Gradients are checked in the backward pass; press b to go there.\n";
  const TraceStep& at = t.steps[size_t(step)];
  const TraceOp& op = t.ops[size_t(at.op)];
  std::string s = wrapped(text("This op's backward ", op.passes ? "matches" : "DOES NOT MATCH",
                               " finite differences (largest error ", brief(op.error), ")."),
                          2, size.columns);
  for (const TraceAdd& a : at.adds) {
    const int value = op.in[size_t(a.input)].value;
    if (!is_last(op, at, a)) continue;
    const TraceValue& v = t.values[size_t(value)];
    const int got = additions(t, value, step), all = additions(t, value, int(t.steps.size()) - 1);
    if (got < all) {
      s += wrapped(text(gradient_of(v.name), " has ", got, " of its ", all, " contributions: not yet to be compared."),
                   2, size.columns);
      continue;
    }
    const double most = largest(v.grad);
    if (v.agrees && most > 0 && most <= kGradBound)
      s += wrapped(
          text(gradient_of(v.name), " is complete. No element exceeds ", brief(most),
               ", and finite differences of the loss err by up to ", brief(kGradBound), " in ", t.precision, "."),
          2, size.columns);
    else
      s += wrapped(text(gradient_of(v.name), " is complete. It ", v.agrees ? "matches" : "DOES NOT MATCH",
                        " finite differences of the loss (largest difference ", brief(v.worst), ")."),
                   2, size.columns);
    if (!v.numeric.empty()) s += entry("numeric", v.shape, v.numeric, size);
  }
  return s;
}

std::string gradients_text(const Trace& t, const TextSize& size) {
  std::string s = "The gradients of all leaves, and how far they are from finite differences of the loss\n";
  s = wrapped(s, 0, size.columns);
  for (const TraceValue& v : t.values) {
    if (v.op >= 0 || v.grad.empty()) continue;
    s += entry(gradient_of(v.name), v.shape, v.grad, size);
    s += text("    differs by ", brief(v.worst), '\n');
  }
  return s;
}

std::string screen_text(const Trace& t, int position, char asked, const std::string& remark, size_t columns,
                        size_t lines) {
  std::string s;
  // Tables of fewer and fewer rows; then, of what was asked for, without the position.
  for (const bool with_position : {true, false})
    for (int64_t rows = 16; rows > 0; --rows) {
      const TextSize size{.columns = columns, .rows = rows};
      s = cut(title_of(t), columns) + "\n\n";
      if (asked != 'e' && with_position) s += position_text(t, position, size) + '\n';
      if (asked == 'w') s += worked_text(t, position, size) + '\n';
      if (asked == 'v') s += check_text(t, position, size) + '\n';
      if (asked == 'e') s += gradients_text(t, size) + '\n';
      if (!remark.empty()) s += wrapped(remark, 0, columns) + '\n';
      s += kKeys;
      const size_t n = size_t(std::count(s.begin(), s.end(), '\n'));
      s.pop_back();  // behind the last line the terminal would scroll
      if (n <= lines) return s;
    }
  return s;
}

std::string whole_text(const Trace& t) {
  std::string s = wrapped(title_of(t), 0, TextSize().columns) + '\n';
  const TextSize whole{.rows = INT64_MAX};
  for (int p = 0; p < t.positions(); ++p) {
    s += position_text(t, p, t.scene(p) ? whole : TextSize());
    if (p != t.begin()) s += worked_text(t, p);
    if (p > t.begin() && p < t.first_update()) s += check_text(t, p);
    s += '\n';
    if (p + 1 == t.first_closing()) s += gradients_text(t) + (t.closing.empty() ? "" : "\n");
  }
  return s;
}

std::optional<int> position_of_op(const Trace& t, int op) {
  for (size_t s = 0; s < t.steps.size(); ++s)
    if (t.steps[s].op == op) return t.begin() + 1 + int(s);
  if (op >= 0 && op < int(t.ops.size())) return t.first_op() + op;
  return {};
}

std::optional<int> position_of_name(const Trace& t, const std::string& name) {
  for (size_t i = 0; i < t.values.size(); ++i) {
    if (t.values[i].name != name && t.values[i].place != name) continue;
    for (int s = int(t.steps.size()) - 1; s >= 0; --s)
      if (additions(t, int(i), s) > additions(t, int(i), s - 1)) return t.begin() + 1 + s;
    for (const TraceOp& op : t.ops)  // no gradient: where it is used first
      for (const TraceInput& in : op.in)
        if (in.value == int(i)) return t.first_op() + int(&op - t.ops.data());
    return t.first_op() + t.values[i].op;
  }
  return {};
}

}  // namespace gradus
