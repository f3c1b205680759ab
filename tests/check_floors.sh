#!/bin/sh
# The floors of the house (see README.md). A file may include files of rooms that stand before its own in this list, and
# files of its own room as long as they make no circle. A function or class that a room's header declares is defined in
# that room or in one before it. The exhibits below apps/ do not know each other, nor do worlds, rewards and methods of
# rl/. Prints each offence; exit 1 if there is one. sh tests/check_floors.sh [FOLDER]: another house than this one.
cd "${1:-$(dirname "$0")/..}" || exit 1
# A room is a folder or, with a dot behind its name, the files of that name; a file stands in the last room it fits.
rooms='
0 engine/version. engine/real. engine/error. engine/shape. engine/target.
1 engine/arena. engine/rng. engine/vmath. engine/long_loop. engine/comm.
2 engine/lanes. engine/product. engine/gemm. engine/kernels.
3 engine/tensor. engine/tape.
4 engine/checks. engine/ops engine/composed. engine/rung.
5 engine/params. engine/muon. engine/optim. engine/parallel. engine/inspect. engine/gradcheck. engine/io/ engine/step/
6 models/table. models/text/ models/grammar/ models/ models/counted/ models/families. models/adapter. models/sampler. models/vae_texts. models/loss. models/yardsticks. models/memory. models/posterior/ models/run/
7 rl/tables/ rl/ rl/worlds/ rl/rewards/ rl/methods/ rl/tune_config. rl/controller. rl/gdc. rl/source. rl/learner. rl/tuner. rl/exact_gradient. rl/step_scenes. rl/step_trace.
8 apps/commands. apps/signals. apps/console. apps/format. apps/next_command. apps/waiting. apps/run. apps/corpus_files. apps/candidates. apps/overfitting. apps/embedded. apps/report/ apps/kl/ apps/step/ apps/look/ apps/ apps/atlas/
9 tests/'
files=$(find engine models rl apps tests -name '*.h' -o -name '*.cpp' | grep -v '/build/' | sort)
# One line a fact: FILE LINE include|declares|defines|class WHAT. Functions and classes stand at the beginning of a line.
# shellcheck disable=SC2086
awk '
  FNR == 1 { header = FILENAME ~ /\.h$/; waiting = ""; private = FILENAME ~ /^tests/ }
  /^namespace \{$/ { private = 1 }  # what stands there cannot be declared elsewhere
  /^}  \/\/ namespace$/ { private = FILENAME ~ /^tests/ }
  /^namespace [a-z_:]+ \{$/ { scope = $2; sub(/^gradus(::)?/, "", scope); if (scope != "") scope = scope "/" }
  /^}  \/\/ namespace [a-z_:]+$/ { scope = "" }
  /^#include "/ { split($0, part, "\""); print FILENAME, FNR, "include", part[2]; next }
  header && /^(class|struct) [A-Za-z_]+( final)?( :.*)? \{$/ { print FILENAME, FNR, "class", $2; next }
  /^(static|template|using|namespace|typedef|enum|friend|extern|constexpr|inline)/ { waiting = ""; next }
  # A function: `type name(...` at the beginning of a line; what ends it says whether it is declared or defined here.
  /^[A-Za-z_][A-Za-z_0-9:<>,\*& ]*[ \*&][A-Za-z_0-9:]+\(/ || /^[A-Z][A-Za-z_0-9]*::[~A-Za-z_0-9]+\(/ {
    waiting = $0; sub(/\(.*/, "", waiting); sub(/.*[ \*&]/, "", waiting); at = FNR
  }
  waiting != "" && /;$/ { if (header && waiting !~ /::/) print FILENAME, at, "declares", scope waiting; waiting = "" }
  waiting != "" && /\{( .*)?\}?$/ { if (!header && !private) print FILENAME, at, "defines", scope waiting; waiting = "" }
' $files | awk -v rooms="$rooms" -v list="$files" '
  BEGIN {
    n = split(rooms, word, /[ \n]+/)
    for (i = 1; i <= n; ++i)
      if (word[i] ~ /\//) { room[++count] = word[i]; row[count] = floor }
      else floor = word[i]
    n = split(list, word, "\n")
    for (i = 1; i <= n; ++i) {
      for (r = count; r > 0; --r) if (fits(word[i], room[r])) break
      if (r == 0) complain(word[i] ": stands in no room; give it one in tests/check_floors.sh")
      # Of the rooms it fits the one with the longest name.
      for (best = r; r > 0; --r) if (fits(word[i], room[r]) && length(room[r]) > length(room[best])) best = r
      place[word[i]] = best
    }
  }
  function folder(file) { sub(/[^\/]*$/, "", file); return file }
  function same_floor(a, b) { return folder(a) == folder(b) && row[place[a]] == row[place[b]] }
  function fits(file, name) { return index(file, name) == 1 }
  function wing(file) {
    if (file !~ /^apps\/(report|kl|step|look)\// && file !~ /^rl\/(worlds|rewards|methods)\//) return ""
    sub(/\/[^\/]*$/, "", file)
    return file
  }
  function complain(what) { print what; bad = 1 }
  $3 == "include" {
    ++includes
    if (!($4 in place)) next
    if (place[$4] > place[$1]) complain($1 ":" $2 ": includes " $4 ", which stands above it")
    if (wing($1) != wing($4) && wing($1) != "" && wing($4) != "" &&
        !(wing($1) == "apps/look" && $4 ~ /^apps.report.(page|plot|log)\.h$/))
      complain($1 ":" $2 ": includes " $4 ", of a wing that it may not know")
    to[$1] = to[$1] " " $4
  }
  $3 == "class" { classes[$4] = classes[$4] " " $1 }
  $3 == "declares" && $1 != "apps/commands.h" { declared[$4] = declared[$4] " " $1 }  # that is the list of the pages above it
  $3 == "defines" { where[++defined] = $1; line[defined] = $2; what[defined] = $4 }
  # A name may be declared in several rooms; one of them must be as high as the definition.
  function low(names, file,   k, m, part) {
    m = split(names, part, " ")
    for (k = 1; k <= m; ++k) if (place[part[k]] >= place[file] || same_floor(part[k], file)) return ""
    return m ? part[1] : ""
  }
  # Depth first over includes: a file met again on its own path closes a circle.
  function visit(file,   k, m, part) {
    if (state[file] == 2) return
    if (state[file] == 1) { complain(file ": is part of a circle of includes"); return }
    state[file] = 1
    m = split(to[file], part, " ")
    for (k = 1; k <= m; ++k) if (part[k] in place) visit(part[k])
    state[file] = 2
  }
  END {
    for (d = 1; d <= defined; ++d) {
      name = what[d]; owner = name; sub(/::.*/, "", owner)
      header = low(name ~ /::/ ? classes[owner] : declared[name], where[d])
      if (header != "") complain(where[d] ":" line[d] ": defines " name ", which " header " below it declares")
    }
    for (file in place) visit(file)
    if (bad) exit 1
    print includes " includes and " defined " functions, none upward"
  }'
