// Files that the build puts into the library as they are, each with a zero byte behind it (see EMBEDDED in the
// Makefile). The name is the path of the file with _ for / and for the dot.
#pragma once

extern "C" const char engine_step_palette_css[], engine_step_page_css[], engine_step_page_js[];
