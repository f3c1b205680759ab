#include "apps/report/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>

#include "apps/format.h"
#include "apps/report/page.h"
#include "engine/error.h"

namespace gradus {

namespace {

std::string print(const char* format, double x) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, x == 0 ? 0.0 : x);  // never minus zero
  return buffer;
}
std::string percent(double share) { return print("%.2f%%", 100 * share); }

// 0.0001 → 1e-4; as many digits of the mantissa as it needs, up to three.
std::string scientific(double x) {
  const double exponent = std::floor(std::log10(std::abs(x)) + 1e-9);
  return print("%.3g", x / std::pow(10, exponent)) + print("e%.0f", exponent);
}

std::string axis_text(double x, int digits) {
  const double size = std::abs(x);
  if (size >= 1e9) return scientific(x);
  if (size >= 1e6) return print("%.4g", x / 1e6) + "M";
  if (size >= 1e4) return print("%.4g", x / 1e3) + "k";
  return fixed(x == 0 ? 0.0 : x, digits);
}

// An axis ends here, whatever the data: so its length, its logarithms and the distance of its ticks are all numbers.
// What lies beyond is drawn at the edge.
constexpr double kLargest = 1e300, kSmallest = 1e-290;

// Values of an axis to shares of its length.
struct Scale {
  double least, most;
  bool log;
  double at(double x) const {
    x = std::clamp(x, log ? kSmallest : -kLargest, kLargest);
    return log ? (std::log(x) - std::log(least)) / (std::log(most) - std::log(least)) : (x - least) / (most - least);
  }
  bool shows(double x) const { return std::isfinite(x) && (!log || x >= kSmallest); }
};

// The range of the values, widened by `margin` of it, and where they are all equal by something.
Scale scale_of(const std::vector<double>& values, const Axis& axis, double margin) {
  Scale s{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(), axis.log};
  for (double x : values) {
    if (!s.shows(x)) continue;
    x = std::clamp(x, -kLargest, kLargest);
    s.least = std::min(s.least, x);
    s.most = std::max(s.most, x);
  }
  if (s.least > s.most) s.least = s.most = 1;  // nothing to show
  // As good as equal: no two ticks between them would differ.
  const bool equal = s.most - s.least <= std::max(1e-12 * std::max(std::abs(s.least), std::abs(s.most)), kSmallest);
  if (axis.log) {
    const double widen = equal ? 2 : std::exp(margin * (std::log(s.most) - std::log(s.least)));
    s.least = std::max(s.least / widen, kSmallest / 2);
    s.most = std::min(s.most * widen, 2 * kLargest);
  } else {
    const double widen = equal ? std::max(std::abs(s.least) / 2, 1e-3) : margin * (s.most - s.least);
    s.least -= widen;
    s.most += widen;
  }
  if (axis.most && *axis.most > s.least) s.most = *axis.most;
  if (axis.least && *axis.least < s.most) s.least = *axis.least;
  return s;
}

// Adds to `values` those of a series that the axis must have room for: of a pale one not the half percent at either
// end.
void add_range(std::vector<double>& values, const Series& s) {
  std::vector<double> y;
  std::copy_if(s.y.begin(), s.y.end(), std::back_inserter(y), [](double v) { return std::isfinite(v); });
  std::sort(y.begin(), y.end());
  const size_t outside = s.stroke == Stroke::kFaint ? y.size() / 200 : 0;
  if (!y.empty()) values.insert(values.end(), {y[outside], y[y.size() - 1 - outside]});
}

const char* stroke_class(Stroke stroke) {
  switch (stroke) {
    case Stroke::kFaint:
      return "faint";
    case Stroke::kDots:
    case Stroke::kMarks:
      return "dots";
    case Stroke::kLine:
      break;
  }
  return "line";
}

std::string legend(const std::vector<std::pair<std::string, std::string>>& classes_and_names) {
  if (classes_and_names.size() < 2) return "";  // the title says it
  std::string out = "<ul class=\"legend\">";
  for (const auto& [classes, name] : classes_and_names)
    out += "<li class=\"" + classes + "\"><span>" + escape_html(name) + "</span></li>";
  return out + "</ul>\n";
}

// The path in a box of 1000 by 1000, y down. A point alone gets a line of no length, which a round cap would show; its
// series is drawn with marks.
std::string path(const Series& s, const Scale& x, const Scale& y) {
  std::string d;
  bool pen_down = false;
  for (size_t i : decimate(s.y, 400)) {
    if (!x.shows(s.x[i]) || !y.shows(s.y[i])) {
      pen_down = false;
      continue;
    }
    const double v = std::clamp(1000 * (1 - y.at(s.y[i])), -1000.0, 2000.0);
    d += (pen_down ? "L" : "M") + print("%.1f", 1000 * x.at(s.x[i])) + print(" %.1f", v);
    pen_down = true;
  }
  return d.empty() ? "" : text("<path class=\"s", s.colour, " ", stroke_class(s.stroke), "\" d=\"", d, "\"/>\n");
}

// Markers, if those of a line are far enough apart; a tooltip shows the numbers of each.
std::string marks(const Series& s, const Scale& x, const Scale& y) {
  std::string out;
  if (s.x.size() > 60 && s.stroke != Stroke::kMarks) return out;
  for (size_t i = 0; i < s.x.size(); ++i) {
    if (!x.shows(s.x[i]) || !y.shows(s.y[i])) continue;
    out += text("<circle class=\"s", s.colour, "\" cx=\"", percent(x.at(s.x[i])), "\" cy=\"", percent(1 - y.at(s.y[i])),
                "\" r=\"4\"><title>", escape_html(s.labels.empty() ? s.name : s.labels[i]), ", ", axis_text(s.x[i], 0),
                ": ", print("%.4g", s.y[i]), "</title></circle>\n");
  }
  return out;
}

// Lines across with their names at the right end, moved up where two would overlap.
std::string level_lines(const std::vector<Level>& levels, const Scale& y, int height) {
  std::vector<Level> sorted = levels;
  std::erase_if(sorted, [&](const Level& l) { return !y.shows(l.y); });
  std::sort(sorted.begin(), sorted.end(), [](const Level& a, const Level& b) { return a.y < b.y; });
  std::string lines, names;
  double free = height;  // names may be drawn above this
  for (const Level& l : sorted) {
    const std::string colour = l.colour ? text(" s", l.colour) : "";
    const double at = 1 - y.at(l.y), base = std::min(at * height - 5, free);
    free = base - 15;
    lines += text("<line class=\"level", colour, "\" x1=\"0\" x2=\"100%\" y1=\"", percent(at), "\" y2=\"", percent(at),
                  "\"/>\n");
    names += text("<text class=\"name\" x=\"100%\" y=\"", print("%.1f", base), "\">", escape_html(l.name), " ",
                  print("%.3g", l.y), "</text>\n");
  }
  return lines + names;
}

std::string axes(const LinePlot& plot, const Scale& x, const Scale& y) {
  std::string out;
  for (const Tick& t : nice_ticks(y.least, y.most, plot.y, std::max(3, plot.height / 45))) {
    const std::string at = percent(1 - y.at(t.at));
    out += text("<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"", at, "\" y2=\"", at,
                "\"/><text class=\"y\" x=\"-8\" y=\"", at, "\" dy=\"4\">", escape_html(t.label), "</text>\n");
  }
  for (const Tick& t : nice_ticks(x.least, x.most, plot.x, 5)) {
    const std::string at = percent(x.at(t.at));
    out +=
        text("<line class=\"axis\" x1=\"", at, "\" x2=\"", at, "\" y1=\"100%\" y2=\"", plot.height + 5,
             "\"/><text class=\"x\" x=\"", at, "\" y=\"", plot.height + 18, "\">", escape_html(t.label), "</text>\n");
  }
  return out + "<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"100%\" y2=\"100%\"/><text class=\"y\" x=\"100%\" y=\"" +
         text(plot.height + 34) + "\">" + escape_html(plot.x.title) + "</text>\n";
}

}  // namespace

std::vector<Tick> nice_ticks(double least, double most, const Axis& axis, int count) {
  std::vector<Tick> ticks;
  if (axis.log) {
    const int first = int(std::floor(std::log10(least))), last = int(std::ceil(std::log10(most)));
    const double decades = std::log10(most) - std::log10(least);
    const int every = std::max(1, int(std::ceil(decades / count)));
    for (int e = first; e <= last; ++e)
      for (double mantissa : {1.0, 2.0, 5.0}) {
        const double at = mantissa * std::pow(10, e);
        if (mantissa > 1 ? decades > 2 : (e - first) % every != 0) continue;
        if (at >= least && at <= most)
          ticks.push_back({at, at < 0.01 ? scientific(at) : at < 1 ? print("%g", at) : axis_text(at, 0)});
      }
    if (ticks.size() >= 2) return ticks;
    if (every > 1) return nice_ticks(least, most, axis, int(decades) + 1);  // one a decade
    ticks.clear();  // so narrow that a linear axis looks the same
  }
  const double wish = most / count - least / count, power = std::pow(10, std::floor(std::log10(wish)));
  // Between numbers that differ in their last digits, or hardly from 0, there are no round ones.
  if (!(wish > 1e-15 * std::max(std::abs(least), std::abs(most)) && power > 0 && std::isfinite(power))) return ticks;
  double step = 10 * power;
  for (double mantissa : {5.0, 2.0, 1.0})
    if (mantissa * power >= wish * (1 - 1e-9)) step = mantissa * power;
  if (axis.whole) step = std::max(step, 1.0);
  const int digits = std::max(0, int(-std::floor(std::log10(step) + 1e-9)));
  const bool tiny = std::max(std::abs(least), std::abs(most)) < 0.01;
  const auto last = int64_t(std::floor(most / step + 1e-9));
  for (auto k = int64_t(std::ceil(least / step - 1e-9)); k <= last; ++k) {
    const double at = double(k) * step;
    ticks.push_back({at, k != 0 && tiny ? scientific(at) : axis_text(at, k == 0 ? 0 : digits)});
  }
  return ticks;
}

std::vector<size_t> decimate(std::span<const double> y, size_t buckets) {
  std::vector<size_t> kept;
  const size_t n = y.size();
  if (n <= 4 * buckets) {
    for (size_t i = 0; i < n; ++i) kept.push_back(i);
    return kept;
  }
  for (size_t b = 0; b < buckets; ++b) {
    const size_t first = b * n / buckets, end = (b + 1) * n / buckets;
    size_t low = first, high = first;
    for (size_t i = first; i < end; ++i) {
      if (y[i] < y[low] || !std::isfinite(y[low])) low = i;
      if (y[i] > y[high] || !std::isfinite(y[high])) high = i;
    }
    for (size_t i : {first, std::min(low, high), std::max(low, high), end - 1})
      if (kept.empty() || i > kept.back()) kept.push_back(i);
  }
  return kept;
}

std::vector<double> smoothed(std::span<const double> y, size_t half) {
  std::vector<double> sums{0}, counts{0}, out;
  for (double v : y) {
    sums.push_back(sums.back() + (std::isfinite(v) ? v : 0));
    counts.push_back(counts.back() + std::isfinite(v));
  }
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t before = std::min(half, i), first = i - before, end = std::min(y.size(), i + before + 1);
    out.push_back((sums[end] - sums[first]) / (counts[end] - counts[first]));
  }
  return out;
}

std::string legend_of(const std::vector<Series>& series) {
  std::vector<std::pair<std::string, std::string>> names;
  names.reserve(series.size());
  for (const Series& s : series) names.emplace_back(text("s", s.colour, " ", stroke_class(s.stroke)), s.name);
  return legend(names);
}

std::string to_html(const LinePlot& plot) {
  std::vector<double> xs, ys;
  for (const Series& s : plot.series) {
    xs.insert(xs.end(), s.x.begin(), s.x.end());
    add_range(ys, s);
  }
  for (const Level& l : plot.levels) ys.push_back(l.y);
  const Scale x = scale_of(xs, plot.x, 0), y = scale_of(ys, plot.y, 0.04);
  std::string paths, dots;
  for (const Series& s : plot.series) {
    if (s.stroke != Stroke::kMarks) paths += path(s, x, y);
    if (s.stroke == Stroke::kDots || s.stroke == Stroke::kMarks || s.x.size() == 1) dots += marks(s, x, y);
  }
  const std::string title = escape_html(plot.title);
  return "<h3>" + title + (plot.y.title.empty() ? "" : ", " + escape_html(plot.y.title)) + "</h3>\n" +
         legend_of(plot.series) +
         text("<div class=\"plot", plot.levels.empty() ? "" : " named", "\"><svg role=\"img\" aria-label=\"", title,
              "\" height=\"", plot.height, "\">\n") +
         axes(plot, x, y) +
         "<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" width=\"100%\" height=\"100%\">\n" + paths +
         "</svg>\n" + dots + level_lines(plot.levels, y, plot.height) + "</svg></div>\n";
}

std::string to_html(const BarPlot& plot) {
  constexpr int kBar = 13, kStep = 16;
  constexpr double kRoom = 0.82;  // of the width; the rest is for the numbers
  double least = 0, most = 0;
  for (const BarPlot::Group& g : plot.groups)
    for (double v : g.values) {
      if (!std::isfinite(v)) continue;
      least = std::min(least, std::max(v, -kLargest));
      most = std::max(most, std::min(v, kLargest));
    }
  const double span = most > least ? (most - least) / kRoom : 1;
  std::vector<std::pair<std::string, std::string>> names;
  for (size_t i = 0; i < plot.names.size(); ++i) names.emplace_back(text("s", i % 4 + 1, " bar"), plot.names[i]);
  std::string out = "<h3>" + escape_html(plot.title) + "</h3>\n" + legend(names) + "<div class=\"bars\">\n";
  for (const BarPlot::Group& g : plot.groups) {
    const std::string name = escape_html(g.name);
    out += text("<div class=\"name\">", name, "</div><svg role=\"img\" aria-label=\"", name, "\" height=\"",
                kStep * int(g.values.size()), "\">");
    for (size_t i = 0; i < g.values.size(); ++i) {
      const double v = std::isfinite(g.values[i]) ? std::clamp(g.values[i], -kLargest, kLargest) : 0,
                   left = std::min(v, 0.0), right = std::max(v, 0.0);
      out += text("<rect class=\"s", i % 4 + 1, "\" x=\"", percent((left - least) / span), "\" y=\"", kStep * int(i),
                  "\" width=\"", percent((right - left) / span), "\" height=\"", kBar, "\"/><text x=\"",
                  percent((right - least) / span), "\" dx=\"6\" y=\"", kStep * int(i) + 11, "\">",
                  print("%.4g", g.values[i]), "</text>");
    }
    out += "</svg>\n";
  }
  return out + "</div>\n";
}

}  // namespace gradus
