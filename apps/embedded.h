// Files that the build puts into the program as they are, each with a zero byte behind it (see EMBEDDED in the
// Makefile). The name is the path of the file with _ for / and for the dot.
#pragma once

extern "C" const char apps_atlas_page_css[], apps_atlas_page_js[], apps_bayes_lesson_txt[], apps_kl_lesson_txt[],
    apps_kl_numbers_txt[], apps_look_page_css[], apps_look_page_js[], apps_report_page_css[];
