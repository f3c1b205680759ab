// Json: a value of JSON, its members in the order in which they came. What is read comes through the strict reader of
// json_reader.h; everything that is written is valid, by the JSON library, which only json.cpp sees.
//
//   Json record{{"type", "step"}, {"loss", 1.5}};         // a list of pairs is an object, any other list an array
//   record["ids"] = std::vector<int64_t>{1, 2};
//   file << record.dump();                                // {"type":"step","loss":1.5,"ids":[1,2]}
//   const double loss = Json::parse(line).at("loss").get<double>();
#pragma once

#include <concepts>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/io/json_reader.h"

namespace gradus {

class Json {
 public:
  using Member = std::pair<std::string, Json>;

  Json(std::nullptr_t = nullptr) {}
  Json(bool x) : value_(x) {}
  template <std::integral T>
  Json(T x) : value_(int64_t(x)) {}
  Json(double x) : value_(x) {}  // NaN and the infinities, which JSON does not have, are written as null
  Json(const char* x) : value_(std::string(x)) {}
  Json(std::string_view x) : value_(std::string(x)) {}
  Json(std::string x) : value_(std::move(x)) {}
  Json(const std::map<std::string, std::string>& members);
  template <class T>
  Json(const std::vector<T>& elements) : Json(array()) {
    for (const T& element : elements) push_back(Json(element));
  }
  Json(std::initializer_list<Json> list);
  Json(const Json&);
  Json(Json&&) noexcept;
  Json& operator=(Json) noexcept;
  ~Json();
  static Json array();
  static Json object();

  // One value and nothing behind it. JsonError, with the place, as JsonReader, and for a number that is out of range,
  // for a name that occurs twice in one object (one of its values would be lost), and for more than `most` values.
  static Json parse(std::string_view text, size_t most = kMaxValues);
  static Json parse_or_null(std::string_view text);  // null where parse() throws
  // The same of a list of texts, at most `most`, without a tree.
  static std::vector<std::string> parse_texts(std::string_view text, size_t most = kMaxValues);
  static constexpr int kMaxDepth = JsonReader::kMaxDepth;
  static constexpr size_t kMaxValues = size_t{1} << 22;  // 160 MB of them
  // In one line, which no terminal obeys. Bytes that are not UTF-8 become U+FFFD; a number reads back as it was.
  std::string dump() const;

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  bool is_boolean() const { return std::holds_alternative<bool>(value_); }
  bool is_number() const { return is_number_integer() || std::holds_alternative<double>(value_); }
  bool is_number_integer() const { return std::holds_alternative<int64_t>(value_); }  // of 64 bits, with sign
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  // The value as bool, int32_t, int64_t, double, std::string or a std::vector of these. JsonError for another type, and
  // for a number that does not fit.
  template <class T>
  T get() const;

  // Of objects. at() throws JsonError where there is no such member, find() returns null, [] makes one (of null, an
  // object), value() stands in. A call that makes a member moves the others.
  const Json& at(std::string_view name) const;
  const Json* find(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  Json& operator[](std::string_view name);
  const Json& operator[](std::string_view name) const { return at(name); }
  template <class T>
  T value(std::string_view name, T otherwise) const {
    const Json* member = find(name);
    return member ? member->get<T>() : otherwise;
  }
  Json value(std::string_view name, const Json& otherwise) const;
  std::string value(std::string_view name, const char* otherwise) const { return value(name, std::string(otherwise)); }
  void update(const Json& other);            // members of `other` replace those of the same name
  const std::vector<Member>& items() const;  // of anything but an object: none

  // Of arrays; a value of another type has no elements.
  void push_back(Json element);    // null becomes an array
  const Json& at(size_t i) const;  // JsonError if there is none
  const Json& operator[](size_t i) const { return at(i); }
  const Json* begin() const;
  const Json* end() const { return begin() + (is_array() ? size() : 0); }

  size_t size() const;  // elements or members; 0 of anything else
  bool empty() const { return size() == 0; }
  bool operator==(const Json& other) const;

 private:
  static Json read(JsonReader& in, size_t& room);
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object> value_;
};

template <class T>
struct JsonList;  // T is a std::vector of JsonList<T>::Element
template <class E>
struct JsonList<std::vector<E>> {
  using Element = E;
};

template <>
bool Json::get<bool>() const;
template <>
int32_t Json::get<int32_t>() const;
template <>
int64_t Json::get<int64_t>() const;
template <>
double Json::get<double>() const;
template <>
std::string Json::get<std::string>() const;
template <class T>
T Json::get() const {
  if (!is_array()) throw JsonError("is not a list");
  T list;
  for (const Json& element : *this) list.push_back(element.get<typename JsonList<T>::Element>());
  return list;
}

}  // namespace gradus
