//! Every check finds the violation that is planted for it and leaves its lawful neighbour alone.

use std::collections::BTreeMap;

use crate::checks;
use crate::source::Source;

const LIB: &str = "mod batch;\npub mod channel;\npub use batch::{Positions, PutBatch};\npub use channel::Channel;\npub use agent::Agent;\n";

fn direction(path: &str, code: &str) -> Vec<String> {
    checks::direction(path, &Source::parse(code), &checks::root_names(LIB))
}

#[test]
fn an_upward_use_is_found_in_every_form() {
    assert_eq!(
        direction("src/vfs/mod.rs", "use std::io;\nuse crate::store::Lane;\n"),
        ["src/vfs/mod.rs:2: vfs must not use store"]
    );
    for planted in [
        "use crate::{event::Event, agent::Agent};",
        "use crate::{\n    event::{Event, EventId},\n    agent::Agent,\n};",
        "fn f() { crate::agent::start(); }",
        "use crate::Agent;",
        "use super::agent::Agent;",
        "fn f(a: &super::Agent) {}",
        "#[cfg(feature = \"testing\")] use crate::testing::history;",
    ] {
        assert_eq!(direction("src/channel/mod.rs", planted).len(), 1, "{planted}");
    }
    assert_eq!(direction("src/channel/memory/mod.rs", "use super::super::agent::Agent;").len(), 1);
    assert_eq!(direction("src/channel/memory.rs", "use crate::brand_new::Thing;").len(), 1);
    assert_eq!(direction("src/brand_new.rs", "").len(), 1);
}

#[test]
fn a_store_hands_out_channels_but_its_parts_do_not_know_them() {
    assert_eq!(direction("src/store/mod.rs", "use crate::channel::FileChannel;"), [""; 0]);
    assert_eq!(direction("src/store/mod.rs", "use crate::agent::Agent;").len(), 1);
    assert_eq!(direction("src/store/writer.rs", "use crate::channel::FileChannel;").len(), 1);
}

#[test]
fn an_exported_macro_belongs_to_the_module_that_defines_it() {
    let code = "#[macro_export]\nmacro_rules! agent_rules { () => {} }\n";
    let found = checks::exported_macros("src/agent/rules.rs", &Source::parse(code));
    assert_eq!(found, [("agent_rules".to_owned(), "agent".to_owned())]);
    let roots = found.into_iter().collect();
    let user = Source::parse("fn f() { crate::agent_rules!(); }");
    assert_eq!(checks::direction("src/agent/mod.rs", &user, &roots), [""; 0]);
    assert_eq!(checks::direction("src/sink/mod.rs", &user, &roots).len(), 1);
}

#[test]
fn siblings_are_strangers_but_the_base_is_one_unit() {
    assert_eq!(direction("src/sink/mod.rs", "use crate::source::Source;").len(), 1);
    assert_eq!(direction("src/batch.rs", "use crate::error::PutError;"), [""; 0]);
    assert_eq!(direction("src/error.rs", "use crate::batch::PutBatch; use crate::PutBatch;"), [""; 0]);
}

#[test]
fn downward_uses_docs_and_tests_are_lawful() {
    for lawful in [
        "use crate::event::Event;\nuse crate::{batch, vfs::Vfs, PutBatch};",
        "use super::memory::MemoryChannel;",
        "/// See [`Agent`](crate::agent::Agent).\nfn f() {}",
        "fn f() -> &'static str { \"crate::agent\" }",
        "fn f() {}\n#[cfg(test)]\nmod tests { use crate::agent::Agent; fn g() {} }\n",
        "#[cfg(test)]\nuse crate::testing::history;\nfn f() {}",
    ] {
        assert_eq!(direction("src/channel/file/mod.rs", lawful), [""; 0], "{lawful}");
    }
    assert_eq!(direction("src/testing/mod.rs", "use crate::{agent, config, vfs};"), [""; 0]);
}

#[test]
fn what_follows_a_test_item_is_still_checked() {
    let code = "#[cfg(test)]\nmod tests;\nuse crate::agent::Agent;\n#[cfg(test)]\nmod more { fn f() { let c = '}'; } }\nuse crate::config::X;";
    assert_eq!(
        direction("src/vfs/mod.rs", code),
        ["src/vfs/mod.rs:3: vfs must not use agent", "src/vfs/mod.rs:6: vfs must not use config"]
    );
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(checks::file_length("a.rs", &"x\n".repeat(checks::FILE_LINES_MAX)), [""; 0]);
    assert_eq!(checks::file_length("a.rs", &"x\n".repeat(checks::FILE_LINES_MAX + 1)).len(), 1);
}

#[test]
fn a_long_function_is_found_whatever_its_strings_hold() {
    let function = |lines: usize| {
        format!("fn long(a: [u8; 3])\nwhere\n{{\n{}}}\nfn next() {{}}\n", "x(\"}\", '}');\n".repeat(lines - 4))
    };
    let check = |raw: &str| checks::function_length("a.rs", &Source::parse(raw));
    assert_eq!(check(&function(checks::FUNCTION_LINES_MAX)), [""; 0]);
    assert_eq!(check(&function(checks::FUNCTION_LINES_MAX + 1)), ["a.rs:1: fn long has 71 lines, more than 70"]);
    assert_eq!(check(&format!("trait T {{ fn f(&self);\n{} }}", "\n".repeat(90))), [""; 0]);
    assert_eq!(check(&format!("type F = fn(u8) -> u8;\nmod m {{\n{}}}", "\n".repeat(90))), [""; 0]);
    assert_eq!(check(&format!("#[cfg(test)]\nmod tests {{\n{} }}", function(200))), [""; 0]);
}

#[test]
fn a_character_outside_ascii_is_found() {
    let check = |raw: &str| checks::ascii("a.rs", &Source::parse(raw));
    assert_eq!(check("let a = 1;\n// caf\u{e9}\n").len(), 1);
    assert_eq!(check("#[cfg(test)]\nmod tests { const C: &str = \"\u{e9}\"; }\n"), [""; 0]);
}

#[test]
fn unfinished_work_is_found_in_code_and_comments() {
    let check = |raw: &str| checks::unfinished("a.rs", &Source::parse(raw)).len();
    assert_eq!(check(concat!("// TO", "DO: later")), 1);
    assert_eq!(check(concat!("let a = 1; // FIX", "ME")), 1);
    assert_eq!(check("fn f() { todo!() }"), 1);
    assert_eq!(check("fn f() { unimplemented!(\"x\") }"), 1);
    assert_eq!(check("fn f() { dbg!(1); }"), 1);
    assert_eq!(check("fn todo_list() { let s = \"todo!\"; } // not done by todo!"), 0);
}

#[test]
fn file_access_outside_the_vfs_is_found() {
    let check = |path: &str, raw: &str| checks::file_access(path, &Source::parse(raw)).len();
    assert_eq!(check("src/store/lane.rs", "use std::fs::File;"), 1);
    assert_eq!(check("src/store/lane.rs", "use std::{fs, io};"), 1);
    assert_eq!(check("src/store/lane.rs", "use std::{io, fs::{self, File}};"), 1);
    assert_eq!(check("src/store/lane.rs", "fn f() { std::fs::remove_file(p); }"), 1);
    assert_eq!(check("src/vfs/os.rs", "use std::fs::File;"), 0);
    assert_eq!(check("src/store/lane.rs", "use rustix::fs; use std::os::unix::fs::X; // std::fs"), 0);
}

#[test]
fn reading_the_time_elsewhere_is_found() {
    let check = |path: &str, raw: &str| checks::time(path, &Source::parse(raw)).len();
    assert_eq!(check("src/agent/mod.rs", "let t = Instant::now();"), 1);
    assert_eq!(check("src/agent/mod.rs", "let t = std::time::SystemTime::now();"), 1);
    assert_eq!(check("src/clock.rs", "let t = Instant::now();"), 0);
    assert_eq!(check("src/agent/mod.rs", "let t = clock.monotonic(); // Instant::now"), 0);
}

#[test]
fn unsafe_elsewhere_is_found() {
    let check = |path: &str, raw: &str| checks::unsafe_code(path, &Source::parse(raw)).len();
    assert_eq!(check("src/store/mod.rs", "fn f() { unsafe { g() } }"), 1);
    assert_eq!(check("src/vfs/os.rs", "fn f() { unsafe { g() } }"), 0);
    assert_eq!(check("src/lib.rs", "#![deny(unsafe_code)] // unsafe"), 0);
}

#[test]
fn a_path_of_one_machine_is_found() {
    let check = |raw: &str| checks::machine_paths("a.md", raw).len();
    assert_eq!(check(concat!("see /ho", "me/someone/notes")), 1);
    assert_eq!(check(concat!("let p = \"/ro", "ot/x\";")), 1);
    assert_eq!(check(concat!("a/ho", "me/b and data/wo", "rk/c")), 0);
}

#[test]
fn lonely_pages_and_dead_links_are_found() {
    let pages: BTreeMap<String, String> = [
        ("README.md", "[a](docs/a.md) [site](https://example.org/x) [here](#top)"),
        ("docs/a.md", "[code](../src/lib.rs#L1) [gone](b/c.md)"),
        ("docs/lonely.md", "[self](lonely.md)"),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into();
    let found = checks::links(&pages, |path| matches!(path, "docs/a.md" | "docs/lonely.md" | "src/lib.rs"));
    assert_eq!(
        found,
        ["docs/a.md: link to docs/b/c.md, which does not exist", "docs/lonely.md: no other page links to it"]
    );
}

#[test]
fn a_promise_that_names_no_test_is_found() {
    let text = "| G1 | `a_real_test`, `an_invented_test`, `Sync`, `src/x_y.rs` |\nand `not_in_a_table`\n";
    let found = checks::tests_named("docs/a.md", text, |name| name == "a_real_test");
    assert_eq!(found, ["docs/a.md:1: no test an_invented_test"]);
}

#[test]
fn a_file_that_is_included_and_not_packaged_is_found() {
    let excluded = checks::excluded("[package]\nexclude = [\"/fuzz\", \"/tests/fixtures\"]\nname = \"x\"\n");
    assert_eq!(excluded, ["fuzz", "tests/fixtures"]);
    let code = |file: &str| format!("\nconst A: &[u8] = {}{file}\");", concat!("include", "_bytes!(\""));
    assert_eq!(
        checks::left_out("src/tls/fuzz.rs", &code("../../tests/fixtures/a.jks"), &excluded),
        ["src/tls/fuzz.rs:2: tests/fixtures/a.jks is not in the package, see Cargo.toml"]
    );
    let name = concat!("include", "_str!");
    for code in [
        format!("const A: &str = {name}(\n    \"../../fuzz/a.rs\"\n);"),
        format!("const A: &str = {name}(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/fuzz/\", \"a.rs\"));"),
    ] {
        let found = checks::left_out("src/tls/fuzz.rs", &code, &excluded);
        assert_eq!(found, ["src/tls/fuzz.rs:1: fuzz/a.rs is not in the package, see Cargo.toml"], "{code}");
    }
    assert_eq!(checks::left_out("src/lib.rs", &code("../README.md"), &excluded), [""; 0]);
    assert_eq!(checks::left_out("fuzz/main.rs", &code("../tests/fixtures/a.jks"), &excluded), [""; 0]);
}

#[test]
fn long_unit_tests_are_found_at_the_end_of_a_file() {
    let file = |lines| format!("fn f() {{}}\n\n#[cfg(test)]\nmod tests {{\n{}}}\n", "    // x\n".repeat(lines));
    let max = checks::INLINE_TESTS_LINES_MAX;
    assert_eq!(checks::inline_tests("src/a.rs", &file(max)), [""; 0]);
    assert_eq!(
        checks::inline_tests("src/a.rs", &file(max + 1)),
        ["src/a.rs: 81 lines of tests, more than 80; move them to a sibling tests.rs"]
    );
    for text in ["#[cfg(test)]\nmod tests;\n", "mod tests {\n"] {
        assert_eq!(checks::inline_tests("src/a.rs", text), [""; 0]);
    }
}
