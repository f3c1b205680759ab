// A page that opens from disk: one HTML file with its style inside, which loads nothing from elsewhere, reads well on
// a phone and in a lecture hall, and follows the reader's light or dark setting. Plots for it come from
// apps/report/plot.h.
//
//   Page page("A run", "what it is");
//   page.section("Loss");
//   page.html(to_html(plot));
//   write_file_atomically("report.html", page.str());
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gradus {

// Text escaped for an element or a quoted attribute. Control characters become visible signs, bytes that are
// not UTF-8 and code points that HTML forbids become U+FFFD; newlines and tabs stay.
std::string escape_html(std::string_view text);

// Every argument that is not called html, css, js or json is plain text and is escaped here.
class Page {
 public:
  Page(std::string_view title, std::string_view subtitle);

  void section(std::string_view heading);
  void paragraph(std::string_view text);
  void code(std::string_view text);                         // on its own, as it would be typed
  void html(std::string_view html);                         // as it is, on a card
  void bare(std::string_view html);                         // as it is, on nothing
  void style(std::string_view css);                         // added to that of every page
  void data(std::string_view id, std::string_view json);    // for a script: the text of the element `id`
  void script(std::string_view js);                         // runs once what stands before it is there
  void side_by_side(const std::vector<std::string>& html);  // below each other where the page is narrow

  // A number in large print, what it is, and a remark.
  struct Figure {
    std::string name, value, remark;
  };
  void figures(const std::vector<Figure>& figures);

  // Names with values; the marked ones stand out.
  struct Fact {
    std::string name, value;
    bool marked = false;
  };
  void facts(const std::vector<Fact>& facts);

  // Longer texts, each under a heading; line breaks and spaces are kept.
  struct Passage {
    std::string heading, text;
  };
  void passages(const std::vector<Passage>& passages);

  // The whole page, with a line at its foot.
  std::string str(std::string_view foot) const;

 private:
  std::string title_, style_, body_;
  bool open_ = false;  // a section is
};

}  // namespace gradus
