// apps/report/page.h, apps/report/plot.h and apps/report/log.h: what a report is put together from. Long,
// because each part has its cases.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>

#include "apps/embedded.h"
#include "apps/format.h"
#include "apps/overfitting.h"
#include "apps/report/log.h"
#include "apps/report/page.h"
#include "apps/report/plot.h"
#include "engine/error.h"
#include "engine/io/json_number.h"
#include "engine/step/embedded.h"

namespace {

using namespace gradus;
using Numbers = std::vector<double>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

size_t count_of(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<std::string> labels(double least, double most, const Axis& axis, int count) {
  std::vector<std::string> out;
  for (const Tick& t : nice_ticks(least, most, axis, count)) out.push_back(t.label);
  return out;
}
using Labels = std::vector<std::string>;

// The numbers behind every `name="` in order; "37.50%" is 37.5.
Numbers attributes(const std::string& html, const std::string& name) {
  Numbers out;
  const std::string key = " " + name + "=\"";
  for (size_t at = html.find(key); at != std::string::npos; at = html.find(key, at + 1))
    out.push_back(std::stod(html.substr(at + key.size())));
  return out;
}

}  // namespace

TEST_SUITE_BEGIN("report");

TEST_CASE("text is escaped for elements and attributes") {
  CHECK(escape_html("<b a=\"x\" b='y'> & </b>") == "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt; &amp; &lt;/b&gt;");
  CHECK(escape_html("你好\n\tso") == "你好\n\tso");
  CHECK(escape_html(std::string_view("\0\x01\r\x1f", 4)) == "␀␁␍␟");
  CHECK(escape_html("a\x7f\xc2\x85z") == "a\xef\xbf\xbd\xef\xbf\xbdz");          // DEL and a C1 control
  CHECK(escape_html("\xef\xb7\x90\xef\xbf\xbe") == "\xef\xbf\xbd\xef\xbf\xbd");  // noncharacters U+FDD0, U+FFFE
  CHECK(escape_html("a\xff"
                    "b\xe4\xbd") ==
        "a\xef\xbf\xbd"
        "b\xef\xbf\xbd");  // not UTF-8
}

TEST_CASE("everything that a page is given as text is escaped, html is not") {
  const std::string bad = "<i>&", good = "&lt;i&gt;&amp;";
  Page page(bad, bad);
  page.section(bad);
  page.paragraph(bad);
  page.code(bad);
  page.figures({{bad, bad, bad}});
  page.facts({{bad, bad, true}});
  page.passages({{bad, bad}});
  CHECK(count_of(page.str(bad), good) == 14);  // the title twice
  CHECK(!has(page.str(bad), bad));
  page.html("<em>this</em>");
  page.side_by_side({"<em>left</em>", "<em>right</em>"});
  for (const char* part : {"<em>this</em>", "<em>left</em>", "<em>right</em>"}) CHECK(has(page.str(""), part));
  CHECK(count_of(page.str(""), "<section>") == count_of(page.str(""), "</section>"));
}

TEST_CASE("a page has nothing in it that a browser would fetch") {
  const std::string html = Page("a", "b").str("c");
  for (const char* part : {"http", "//", "url(", "@import", "src=", "href="}) CHECK_MESSAGE(!has(html, part), part);
  CHECK(has(html, "prefers-color-scheme: dark"));
  CHECK(has(html, "width=device-width"));
}

TEST_CASE("what the build embeds is what the files hold") {
  for (const auto& [name, embedded] : {std::pair{"apps/report/page.css", apps_report_page_css},
                                       {"engine/step/palette.css", engine_step_palette_css},
                                       {"engine/step/page.css", engine_step_page_css},
                                       {"engine/step/page.js", engine_step_page_js},
                                       {"apps/kl/numbers.txt", apps_kl_numbers_txt},
                                       {"apps/kl/lesson.txt", apps_kl_lesson_txt}}) {
    const std::string path = name;
    CAPTURE(path);
    std::ifstream file(path);
    CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == embedded);
  }
  CHECK(has(Page("a", "b").str("c"), apps_report_page_css));
}

TEST_CASE("ticks are round numbers within the range") {
  CHECK(labels(0, 100, {}, 5) == Labels{"0", "20", "40", "60", "80", "100"});
  CHECK(labels(0.93, 4.2, {}, 4) == Labels{"1", "2", "3", "4"});
  CHECK(labels(2.03, 2.17, {}, 3) == Labels{"2.05", "2.10", "2.15"});
  CHECK(labels(-0.25, 0.25, {}, 5) == Labels{"-0.2", "-0.1", "0", "0.1", "0.2"});
  CHECK(labels(0, 1e-3, {}, 2) == Labels{"0", "5e-4", "1e-3"});
  CHECK(labels(0, 50000, {}, 5) == Labels{"0", "10k", "20k", "30k", "40k", "50k"});
  CHECK(labels(0, 5e6, {}, 5) == Labels{"0", "1M", "2M", "3M", "4M", "5M"});
  CHECK(labels(0, 1.5, {.whole = true}, 5) == Labels{"0", "1"});
  CHECK(labels(0.0005, 2000, {.log = true}, 7) == Labels{"1e-3", "0.01", "0.1", "1", "10", "100", "1000"});
  CHECK(labels(0.4, 6, {.log = true}, 4) == Labels{"0.5", "1", "2", "5"});
  CHECK(labels(1, 1e12, {.log = true}, 4) == Labels{"1", "1000", "1M", "1e9", "1e12"});
  CHECK(labels(1.02, 1.08, {.log = true}, 3) == Labels{"1.02", "1.04", "1.06", "1.08"});
}

TEST_CASE("ticks of any range: few, ascending, inside") {
  for (double least : {-1e5, -3.0, 0.0, 1e-6, 0.7, 1e4})
    for (double span : {1e-9, 1e-3, 0.9, 5.0, 77.0, 1e7})
      for (int count : {2, 5, 8}) {
        if (span < 1e-6 * std::abs(least)) continue;
        const std::vector<Tick> ticks = nice_ticks(least, least + span, {}, count);
        CAPTURE(least);
        CAPTURE(span);
        CHECK(ticks.size() >= 1);
        CHECK(int(ticks.size()) <= count + 1);
        for (size_t i = 0; i < ticks.size(); ++i) {
          CHECK(ticks[i].at >= least - 1e-6 * span);
          CHECK(ticks[i].at <= least + span * (1 + 1e-6));
          if (i > 0) CHECK(ticks[i].at > ticks[i - 1].at);
        }
      }
}

TEST_CASE("ticks where a double has no room for round numbers: none, and at once") {
  const double tiny = 5e-324, most = std::numeric_limits<double>::max();
  for (const auto& [least, greatest] : {std::pair{0.0, tiny},
                                        {tiny, 2 * tiny},
                                        {-tiny, tiny},
                                        {1.0, std::nextafter(1.0, 2.0)},
                                        {1e300, std::nextafter(1e300, INFINITY)}})
    CHECK(nice_ticks(least, greatest, {}, 4).empty());
  CHECK(nice_ticks(-most, most, {}, 4).size() >= 2);
  CHECK(nice_ticks(0, 1e-290, {}, 4).size() >= 2);
  CHECK(nice_ticks(1e-290, 1e300, {.log = true}, 4).size() >= 2);
}

TEST_CASE("a plot of the smallest, the largest and nearly equal numbers is drawn, and at once") {
  const double tiny = 5e-324, most = std::numeric_limits<double>::max();
  for (const bool log : {false, true})
    for (const Numbers& y : {Numbers{tiny, tiny, tiny},
                             {0, tiny, 0},
                             {1, tiny, 2},
                             {-most, 0, most},
                             {most, most, 1},
                             {1e-310, 2e-310, 1e-300},
                             {1, 1 + 1e-15, 1},
                             {1e300, -1e300, 1e308},
                             {-0.0, 0, -tiny}}) {
      LinePlot plot{.title = "t", .x = {}, .y = {.log = log}, .series = {{"s", {1, 2, 3}, y}}};
      plot.levels = {{"level", y[0]}};
      const std::string html = to_html(plot);
      CAPTURE(html);
      for (const char* word : {"nan", "inf", ">-0<", "\"-0\""}) CHECK(!has(html, word));
      CHECK(html.size() < 10'000);
    }
  // The margin of so long a logarithmic axis would end beyond all numbers, and leave no ticks.
  const LinePlot whole{.title = "t", .x = {}, .y = {.log = true}, .series = {{"s", {1, 2}, {1e-290, 1e300}}}};
  const std::string of_whole = to_html(whole);
  CAPTURE(of_whole);
  for (const char* tick : {">1e-", ">1e1"}) CHECK(has(of_whole, tick));
  BarPlot bars{.title = "t", .names = {"a", "b"}, .groups = {{"g", {tiny, most}}, {"h", {-most, -0.0}}}};
  CHECK(!has(to_html(bars), "nan"));
}

TEST_CASE("numbers for people: no minus zero, no more digits than a double has, no time without end") {
  CHECK(fixed(-0.0, 3) == "0.000");
  CHECK(fixed(-1e-9, 3) == "0.000");
  CHECK(fixed(-0.0006, 3) == "-0.001");
  CHECK(fixed(-0.4, 0) == "0");
  CHECK(fixed(1e300, 3) == "1e+300");
  CHECK(fixed(-123456789012345678.0, 2) == "-1.234568e+17");
  CHECK(fixed(999999999999999.0, 1) == "999999999999999.0");
  CHECK(fixed(INFINITY, 2) == "inf");
  CHECK(fixed(-INFINITY, 2) == "-inf");
  CHECK(fixed(-std::nan(""), 2) == "nan");
  CHECK(significant(-0.0, 12) == "0");
  CHECK(significant(-0.05, 12) == "-0.05");
  CHECK(significant(1.0 / 3, 12) == "0.333333333333");
  CHECK(grouped_whole(1234567.4) == "1,234,567");
  CHECK(grouped_whole(1e300) == "1e+300");
  CHECK(grouped_whole(NAN) == "nan");
  CHECK(duration(7.4) == "7 s");
  CHECK(duration(125) == "2 min 05 s");
  CHECK(duration(1e13) == "2.8e+09 h");
  CHECK(duration(INFINITY) == "inf h");
  CHECK(duration(NAN) == "nan h");
  CHECK(json_number(-0.0).dump() == "0.0");
  CHECK(json_number(INFINITY).dump() == "\"inf\"");
  CHECK(json_number(-INFINITY).dump() == "\"-inf\"");
  CHECK(json_number(-NAN).dump() == "\"nan\"");
  CHECK(json_numbers(Numbers{1, -INFINITY}).dump() == "[1.0,\"-inf\"]");
  CHECK(json_number(std::optional<double>()).dump() == "null");
}

TEST_CASE("decimation keeps the ends and every extreme of its bucket") {
  const size_t n = 100'003;
  Numbers y(n);
  for (size_t i = 0; i < n; ++i) y[i] = std::sin(double(i) * 0.7) + 1e-5 * double(i);
  y[54'321] = 1e6;
  y[54'399] = -1e6;
  y[77] = kNan;
  const std::vector<size_t> kept = decimate(y, 400);
  CHECK(kept.size() <= 1600);
  CHECK(std::is_sorted(kept.begin(), kept.end()));
  CHECK(std::adjacent_find(kept.begin(), kept.end()) == kept.end());
  CHECK(kept.front() == 0);
  CHECK(kept.back() == n - 1);
  for (size_t wanted : {54'321, 54'399}) CHECK(std::binary_search(kept.begin(), kept.end(), wanted));
  for (size_t b = 0; b < 400; ++b) {  // no bucket loses its range
    const auto first = y.begin() + std::ptrdiff_t(b * n / 400), end = y.begin() + std::ptrdiff_t((b + 1) * n / 400);
    const auto less = [](double p, double q) { return std::isfinite(p) && (!std::isfinite(q) || p < q); };
    const auto more = [](double p, double q) { return std::isfinite(p) && (!std::isfinite(q) || p > q); };
    for (const auto extreme : {std::min_element(first, end, less), std::min_element(first, end, more)})
      CHECK(std::binary_search(kept.begin(), kept.end(), size_t(extreme - y.begin())));
  }
  CHECK(decimate(Numbers(1600, 1.0), 400).size() == 1600);
  CHECK(decimate(Numbers{}, 400).empty());
}

TEST_CASE("the smoothed curve is the mean of neighbours") {
  const Numbers y{5, 1, 3, 7, 9};
  CHECK(smoothed(y, 1) == Numbers{5, 3, 11.0 / 3, 19.0 / 3, 8});  // at the end what there is
  CHECK(smoothed(y, 0) == y);
  CHECK(smoothed(y, 9) == Numbers{5, 3, 5, 5, 5});  // at the beginning as many before as after
  CHECK(smoothed(Numbers{}, 3).empty());
  CHECK(smoothed(Numbers{1, NAN, 3}, 1) == Numbers{1, 2, 3});  // of those that there are
}

TEST_CASE("a line plot draws points where the axes say") {
  LinePlot plot{.title = "a <b>", .x = {.title = "step", .least = 0}, .y = {.title = "nats", .least = 0}, .series = {}};
  plot.series = {{"one", {0, 5, 10}, {0, 50, 100}, 2, Stroke::kDots}};
  const std::string html = to_html(plot);
  CHECK(has(html, "a &lt;b&gt;, nats"));
  CHECK(has(html, "M0.0 1000.0L500.0 519.2L1000.0 38.5"));  // 4 % of room above 100
  CHECK(attributes(html, "cx") == Numbers{0, 50, 100});
  CHECK(attributes(html, "cy") == Numbers{100, 51.92, 3.85});
  CHECK(has(html, "<title>one, 5: 50</title>"));
  CHECK(!has(html, "legend"));  // one series needs none
  plot.series.push_back({"two", {0, 10}, {1, kNan}});
  CHECK(count_of(to_html(plot), "<li class=") == 2);
}

TEST_CASE("on a log axis equal ratios are equal distances, and zero leaves a gap") {
  LinePlot plot{.title = "t", .x = {.log = true}, .y = {}, .series = {{"s", {0, 1, 10, 100}, {1, 1, 2, 3}}}};
  CHECK(has(to_html(plot), "d=\"M0.0 "));
  CHECK(has(to_html(plot), "L500.0 "));
  CHECK(has(to_html(plot), "L1000.0 "));
  CHECK(!has(to_html(plot), "nan"));
}

TEST_CASE("numbers that are not finite leave gaps, no data leave an empty plot") {
  LinePlot plot{.title = "t", .x = {}, .y = {}, .series = {{"s", {1, 2, 3, 4}, {1, kNan, 3, 4}}}};
  std::string html = to_html(plot);
  CHECK(count_of(html.substr(html.find("<path")), "M") == 2);
  plot.series = {{"s", {1, 2}, {kNan, INFINITY}}};
  CHECK(!has(to_html(plot), "<path"));
  plot.series.clear();
  html = to_html(plot);
  for (const char* word : {"nan", "inf"}) CHECK(!has(html, word));
  plot.series = {{"s", {7}, {3}}};  // one point is a mark
  CHECK(count_of(to_html(plot), "<circle") == 1);
}

TEST_CASE("a pale series sets the range without its rarest values") {
  Numbers x(1000), y(1000, 1.0);
  for (size_t i = 0; i < 1000; ++i) x[i] = double(i), y[i] = 1 + double(i % 10);
  y[500] = 1e9;
  LinePlot plot{.title = "t", .x = {}, .y = {}, .series = {{"s", x, y, 1, Stroke::kFaint}}};
  CHECK(has(to_html(plot), ">10</text>"));
  CHECK(!has(to_html(plot), "M</text>"));
  plot.series[0].stroke = Stroke::kLine;
  CHECK(has(to_html(plot), "M</text>"));
}

TEST_CASE("levels are named, and names keep apart") {
  LinePlot plot{.title = "t", .x = {}, .y = {}, .series = {{"s", {0, 1}, {0, 10}}}};
  plot.levels = {{"high & low", 8}, {"b", 1.02}, {"a", 1}, {"c", 1.01}};
  const std::string html = to_html(plot);
  CHECK(has(html, "high &amp; low 8</text>"));
  CHECK(count_of(html, "class=\"level\"") == 4);
  Numbers heights;
  for (size_t at = html.find("class=\"name\""); at != std::string::npos; at = html.find("class=\"name\"", at + 1))
    heights.push_back(std::stod(html.substr(html.find(" y=\"", at) + 4)));
  REQUIRE(heights.size() == 4);
  for (size_t i = 1; i < 4; ++i) CHECK(heights[i] <= heights[i - 1] - 14);
}

TEST_CASE("a long curve stays small") {
  Numbers x, y;
  for (int i = 0; i < 100'000; ++i) x.push_back(i), y.push_back(std::sin(double(i) * i));
  const LinePlot plot{.title = "t", .x = {}, .y = {}, .series = {{"s", x, y}}};
  CHECK(to_html(plot).size() < 30'000);
}

TEST_CASE("bars are as long as their numbers") {
  const BarPlot plot{
      "t", {"policy", "prior", "posterior"}, {{"the <cat>", {0.5, 0.25, 0}}, {"dog", {-0.5, kNan, 0.1}}}};
  const std::string html = to_html(plot);
  CHECK(has(html, "the &lt;cat&gt;"));
  for (const char* name : {"policy", "prior", "posterior"}) CHECK(has(html, name));
  const Numbers width = attributes(html.substr(html.find("<rect")), "width"), x = attributes(html, "x");
  CHECK(width == Numbers{41, 20.5, 0, 41, 0, 8.2});  // of 82 % for the span from -0.5 to 0.5
  CHECK(x[0] == 41.0);                               // where 0 is
  CHECK(has(html, ">0.25</text>"));
}

// ------------------------------------------------------------------------------------------ the log

namespace {

struct LogFile {
  std::string path = (std::filesystem::temp_directory_path() / "gradus_log_XXXXXX").string();
  explicit LogFile(const std::string& content) {
    close(mkstemp(path.data()));
    std::ofstream(path) << content;
  }
  ~LogFile() { std::filesystem::remove(path); }
};
RunLog read(const std::string& content) { return read_run_log(LogFile(content).path); }
std::string complaint(const std::string& content) {
  try {
    read(content);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}
const std::string kRun = "{\"type\":\"run\",\"config\":{}}\n";
std::string step(int i, double loss) { return text("{\"type\":\"step\",\"step\":", i, ",\"loss\":", loss, "}\n"); }

}  // namespace

TEST_CASE("a log is read into columns") {
  const RunLog log =
      read(kRun + step(1, 4) + step(2, 3) + "{\"type\":\"eval\",\"step\":2,\"train_loss\":3,\"val_loss\":null}\n" +
           "{\"type\":\"sample\",\"step\":2,\"text\":\"你\"}\n{\"type\":\"new\",\"x\":1}\n" + step(3, 2));
  CHECK(log.steps.step == Numbers{1, 2, 3});
  CHECK(log.steps["loss"] == Numbers{4, 3, 2});
  CHECK(log.evals["train_loss"] == Numbers{3});
  REQUIRE(log.evals["val_loss"].size() == 1);
  CHECK(std::isnan(log.evals["val_loss"][0]));
  CHECK(log.samples.texts == std::vector<std::string>{"你"});
  CHECK(log.last_step == 3);
}

TEST_CASE("a field that begins late has NaN before, one that ends early after") {
  const RunLog log = read(kRun + "{\"type\":\"step\",\"step\":1,\"a\":1}\n{\"type\":\"step\",\"step\":2,\"b\":2}\n");
  CHECK(log.steps["a"][0] == 1);
  CHECK(std::isnan(log.steps["a"][1]));
  CHECK(std::isnan(log.steps["b"][0]));
  CHECK(log.steps["b"][1] == 2);
}

TEST_CASE("a last line that was cut is left out, wherever it was cut") {
  const std::string whole = kRun + step(1, 4) + step(2, 3);
  for (size_t cut = kRun.size() + 1; cut < whole.size() - 1; ++cut) {
    CAPTURE(cut);
    const size_t lines = size_t(std::count(whole.begin(), whole.begin() + std::ptrdiff_t(cut), '\n'));
    const size_t complete = whole[cut - 1] == '}' || whole[cut] == '\n' ? 1 : 0;  // only its newline is missing
    CHECK(read(whole.substr(0, cut)).steps.step.size() == lines - 1 + (whole[cut - 1] == '\n' ? 0 : complete));
  }
}

TEST_CASE("of a step that is there twice the later holds, and what stood between is gone") {
  const RunLog log = read(kRun + step(1, 4) + step(2, 3) + step(3, 2) + step(2, 2.5));
  CHECK(log.steps.step == Numbers{1, 2});
  CHECK(log.steps["loss"] == Numbers{4, 2.5});
  CHECK(log.last_step == 2);
}

TEST_CASE("a run overfits where two evaluations in a row are 1% above the best and training has gone on falling") {
  using Losses = std::vector<double>;
  const Losses falls{3, 2, 1, 0.5};
  CHECK(overfits_since(falls, Losses{3, 2, 2.1, 2.2}) == std::optional<size_t>(1));
  CHECK(overfits_since(falls, Losses{2, 2.1, 2.2, 2.3}) == std::optional<size_t>(0));
  CHECK(!overfits_since(falls, Losses{3, 2, 2.015, 2.2}));  // within 1%
  CHECK(!overfits_since(falls, Losses{3, 2, 1.9, 2.2}));    // one evaluation may be chance
  CHECK(!overfits_since(falls, Losses{3, 2, 1.9, 1.8}));
  CHECK(!overfits_since(Losses{3, 2, 2.5, 3}, Losses{3, 2, 2.1, 2.2}));  // it diverges
  CHECK(!overfits_since(Losses{}, Losses{}));
  CHECK(!overfits_since(falls, Losses(4, NAN)));
  CHECK(best_evaluation(Losses{NAN, 2, 1, 3}) == std::optional<size_t>(2));
}

TEST_CASE("what is no log is refused in a sentence that says where") {
  for (const char* foreign : {"hello\n", "{}\n", "[1]\n", "{\"type\":\"step\",\"step\":1}\n", "{\"type\":\"run\"}\n",
                              "\n", "{\"type\":\"run\",\"config\":7}\n", "{\"type\":\"run\",\"con"})
    CHECK_MESSAGE(has(complaint(foreign), "is not the log of a run"), foreign);
  CHECK(has(complaint(kRun + "what\n" + step(1, 4)), ": line 2 is not a JSON object"));
  CHECK(has(complaint(kRun + "\xff\xfe\n" + step(1, 4)), ": line 2 is not a JSON object"));
  CHECK(has(complaint(kRun + step(1, 4) + "{\"type\":7}\n"), ": line 3 has no \"type\""));
  CHECK(has(complaint(kRun + "{\"type\":\"step\",\"loss\":1}\n"), ": line 2 has no \"step\""));
  CHECK(has(complaint(kRun + "{\"type\":\"step\",\"step\":-1}\n"), ": line 2 has no \"step\""));
  CHECK(has(complaint(kRun + "{\"type\":\"sample\",\"step\":1,\"text\":[]}\n"), ": line 2 has a \"text\""));
  std::string deep;
  for (int i = 0; i < 20'000; ++i) deep += i % 2 ? "[" : "{\"a\":";
  CHECK(has(complaint(deep + "\n"), "is not the log of a run"));
  CHECK(has(complaint(kRun + deep + "\n" + step(1, 4)), ": line 2 is not a JSON object"));
  CHECK(has(complaint(kRun + step(1, 4) + "{\"type\":\"step\",\"step\":2,\"loss\":" + deep + "\n" + step(3, 1)),
            ": line 3 is not a JSON object"));
  CHECK(has(complaint(""), "empty"));
}

TEST_SUITE_END();
