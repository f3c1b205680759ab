#include "apps/report/configuration.h"

#include "models/text/shell_word.h"

namespace gradus {

// An option that is not as usual, with a space before each word, as it is typed.
static std::string typed(const Option& row) {
  const std::string name = " " + option_name(row);
  if (std::holds_alternative<Switch>(row.value)) return name;
  const Texts* texts = std::get_if<Texts>(&row.value);
  if (!texts) return name + " " + shell_word(value_text(row));
  std::string words;
  for (const std::string& one : *texts->value) words += name + " " + shell_word(one);
  return words;
}

void add_configuration(Page& page, const std::vector<Option>& rows, const std::vector<Option>& usual,
                       const std::string& begin, const std::vector<Page::Fact>& more) {
  std::string command = begin;
  std::vector<Page::Fact> facts;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Switch* flag = std::get_if<Switch>(&rows[i].value);
    const std::string value = value_text(rows[i]);
    const bool differs = value != value_text(usual[i]);
    if (differs) command += typed(rows[i]);
    facts.push_back({option_name(rows[i].name).substr(2), flag ? (*flag->value ? "yes" : "no") : value, differs});
  }
  facts.insert(facts.end(), more.begin(), more.end());
  page.section("Configuration");
  page.facts(facts);
  page.paragraph("Options in bold were given for this run or chosen for its machine; the others are defaults.");
  page.section("Command that repeats this run");
  page.code(command);
}

}  // namespace gradus
