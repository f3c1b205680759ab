// Plots as inline SVG for a Page (apps/report/page.h), which holds their colours and type. A plot is as wide as its
// place and of fixed height: curves are stretched, text and strokes are not, so that one drawing serves a phone and a
// lecture hall.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace gradus {

struct Axis {
  std::string title = {};
  bool log = false;
  bool whole = false;                           // no ticks between whole numbers
  std::optional<double> least = {}, most = {};  // where it begins and ends; without, at the data
};

// kFaint: thin and pale, for raw data, whose rarest values may leave the plot. kDots: marks joined by a line. kMarks:
// marks alone, for points in no order.
enum class Stroke { kLine, kFaint, kDots, kMarks };

// As many x as y, x ascending but for marks. Points that are not finite, or not on a log axis, leave a gap.
struct Series {
  std::string name;  // in the legend
  std::vector<double> x, y;
  int colour = 1;  // 1 to 4
  Stroke stroke = Stroke::kLine;
  std::vector<std::string> labels = {};  // of marks, as many as points; without them the name is that of all
};

// A horizontal line across the plot, with its name and value on it.
struct Level {
  std::string name;
  double y;
  int colour = 0;  // 0: grey
};

struct LinePlot {
  std::string title;
  Axis x, y;
  std::vector<Series> series;
  std::vector<Level> levels = {};
  int height = 180;  // of the drawing, in pixels
};
std::string to_html(const LinePlot& plot);
// The legend alone, for a page whose plots share one; nothing for a single series.
std::string legend_of(const std::vector<Series>& series);

// Horizontal bars: for each group its name, and below it one bar for each of `names`, with its value.
struct BarPlot {
  struct Group {
    std::string name;
    std::vector<double> values;  // as many as names
  };
  std::string title;
  std::vector<std::string> names;
  std::vector<Group> groups;
};
std::string to_html(const BarPlot& plot);

struct Tick {
  double at;
  std::string label;
};
// About `count` round numbers in [least, most]: 1, 2 or 5 times a power of ten apart, on a log axis the powers of ten,
// with 2 and 5 between them where there are few. None where a double has no room for them. REQUIRES: least < most, both
// finite, least ≥ 1e-300 on a log axis.
std::vector<Tick> nice_ticks(double least, double most, const Axis& axis, int count);

// Indices, ascending, of at most 4 * buckets points that draw like all of y: of every bucket of neighbours the first,
// the lowest, the highest and the last.
std::vector<size_t> decimate(std::span<const double> y, size_t buckets);

// Means of up to 2 * half + 1 neighbours; fewer at the ends, and at the beginning as many before as after.
std::vector<double> smoothed(std::span<const double> y, size_t half);

}  // namespace gradus
