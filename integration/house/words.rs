//! Comments begin with a noun or a verb, texts and constants say what they are about.

use std::{fs, path::Path};

use proc_macro2::{TokenStream, TokenTree};

use super::{
    check, report,
    source::{Source, Tree, root, rust_files},
};

/// Words that begin a sentence without a noun.
const WEAK: &str = "Another Anybody Anyone Anything Both Either Everybody Everyone Everything Has \
    How It Its Neither Nobody None Not Nothing One Other Others So Some Somebody Someone Something \
    Such That Their There These They This Those What Whatever When Whenever Where Wherever Whether \
    Which Whichever Who Whoever Whom Whose";

/// Pairs of words that begin a sentence without a noun, though the first word alone can stand.
const WEAK_PAIRS: &str = "All of, All that, All there, Any of, Any that, As far, As long, As many, \
    As much, As often, As soon, Each of, Each that, The one, The ones, The other, The others, The same";

/// Words that begin the name of a constant and do not say what the constant bounds.
const WEAK_CONSTANTS: &str =
    "AGAIN FEW LARGEST LATELY LEAST LONG LONGEST MOST PATIENCE SHORT SMALLEST";

/// Doc blocks in a hundred that can begin with a weak word.
const MAX_PERCENT: usize = 2;

/// A run of `///` or `//!` lines: the first line's number and the first words.
struct Block {
    line: usize,
    opening: String,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut marker = "";
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let found = ["///", "//!"].into_iter().find(|marker| {
            let rest = line.strip_prefix(marker);
            rest.is_some_and(|rest| !rest.starts_with('/'))
        });
        let Some(found) = found else {
            marker = "";
            continue;
        };
        let words = line.trim_start_matches(found).trim();
        if found != marker {
            blocks.push(Block {
                line: index + 1,
                opening: String::new(),
            });
        }
        marker = found;
        if let Some(block) = blocks.last_mut()
            && block.opening.is_empty()
            && !words.starts_with('#')
            && !words.starts_with("```")
        {
            let words = words.strip_prefix("Pure. ").unwrap_or(words);
            let words = words.trim_start_matches(['-', '*']).trim_start();
            words.clone_into(&mut block.opening);
        }
    }
    blocks
}

/// Returns true if the sentence begins with a weak word.
fn is_weak(opening: &str) -> bool {
    let mut words = opening.split(|letter: char| !letter.is_alphanumeric());
    let (first, second) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let pair = format!("{first} {second}");
    WEAK.split(' ').any(|weak| weak == first) || WEAK_PAIRS.split(", ").any(|weak| weak == pair)
}

/// The weak blocks of a file as `path:line: words`, and the number of all blocks.
fn weak_blocks(path: &Path) -> (Vec<String>, usize) {
    let text = fs::read_to_string(path).unwrap();
    let path = path.strip_prefix(root()).unwrap_or(path).display();
    let blocks = blocks(&text);
    let weak = blocks.iter().filter(|block| is_weak(&block.opening));
    let weak = weak
        .map(|block| format!("{path}:{}: {}", block.line, block.opening))
        .collect();
    (weak, blocks.len())
}

/// Counts the weak blocks below one directory of the repository.
fn check_blocks(dir: &str) {
    let (mut weak, mut count) = (Vec::new(), 0);
    for path in rust_files(&root().join(dir)) {
        let (found, all) = weak_blocks(&path);
        weak.extend(found);
        count += all;
    }
    let summary = format!(
        "{} of {count} doc blocks of {dir} begin with a weak word, at most {MAX_PERCENT} % may",
        weak.len()
    );
    report(&summary);
    let is_over = weak.len() * 100 > count * MAX_PERCENT;
    assert!(!is_over, "{summary}:\n  {}", weak.join("\n  "));
}

#[test]
fn a_comment_begins_with_a_noun_or_a_verb() {
    check_blocks("src");
}

#[test]
fn a_comment_of_a_test_begins_with_a_noun_or_a_verb() {
    check_blocks("integration");
}

#[test]
fn a_comment_of_a_bench_begins_with_a_noun_or_a_verb() {
    check_blocks("benches");
}

/// Adds each string of the tokens, doc comments aside, with its line.
fn strings(tokens: TokenStream, found: &mut Vec<(usize, String)>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                if !group.stream().to_string().starts_with("doc =") {
                    strings(group.stream(), found);
                }
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let text = text.trim_start_matches(['b', 'c', 'r', '#']);
                if let Some(text) = text.strip_prefix('"') {
                    found.push((literal.span().start().line, text.to_owned()));
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

/// The texts of a production file that begin with a pronoun.
fn weak_texts(source: &Source) -> Vec<String> {
    let production = source.text.split("\n#[cfg(test)]\nmod tests").next();
    let tokens: TokenStream = production.unwrap_or("").parse().unwrap();
    let mut texts = Vec::new();
    strings(tokens, &mut texts);
    let weak = texts.into_iter().filter(|(_, text)| {
        let first = text.split(|letter: char| !letter.is_alphanumeric()).next();
        matches!(first, Some("it" | "its" | "It" | "Its"))
    });
    weak.map(|(line, text)| format!("src/{}:{line}: \"{text}", source.path))
        .collect()
}

#[test]
fn an_error_or_a_log_line_can_stand_alone() {
    let tree = Tree::read();
    check(&tree.sources.iter().flat_map(weak_texts).collect::<Vec<_>>());
}

#[test]
fn a_constant_says_what_it_bounds() {
    let mut findings = Vec::new();
    for dir in ["src", "integration", "benches"] {
        for path in rust_files(&root().join(dir)) {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().display().to_string();
            for (index, line) in text.lines().enumerate() {
                if let Some(name) = constant(line)
                    && WEAK_CONSTANTS.split(' ').any(|weak| {
                        let rest = name.strip_prefix(weak);
                        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
                    })
                {
                    findings.push(format!("{path}:{}: {name}", index + 1));
                }
            }
        }
    }
    check(&findings);
}

/// The name of the constant or static that the line defines.
fn constant(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let (_, rest) = line
        .split_once("const ")
        .or_else(|| line.split_once("static "))?;
    let end = rest.find(':')?;
    let name = &rest[..end];
    let is_name = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit();
    name.chars()
        .all(|letter| is_name(letter) || letter == '_')
        .then_some(name)
}

#[test]
fn weak_beginnings_are_told_from_others() {
    for weak in [
        "What is served.",
        "Whether it is.",
        "It, not the other.",
        "So many at most.",
        "The same for v1.",
        "Has it end.",
        "Whoever asks.",
        "Each that is left.",
    ] {
        assert!(is_weak(weak), "{weak}");
    }
    for good in [
        "The container's files.",
        "Returns what is left.",
        "Each container.",
        "`None` for none.",
        "Socket of the daemon.",
        "Onelink.",
    ] {
        assert!(!is_weak(good), "{good}");
    }
}

#[test]
fn a_block_begins_where_comment_lines_begin() {
    let text = "//! Pure. What a file is.\n//! More.\n\n/// ```\n/// Whose.\nfn a() {}\n/// End.\n";
    let found: Vec<(usize, String)> = blocks(text)
        .into_iter()
        .map(|block| (block.line, block.opening))
        .collect();
    let expected = [(1, "What a file is."), (4, "Whose."), (7, "End.")];
    assert_eq!(
        found,
        expected.map(|(line, words)| (line, words.to_owned()))
    );
}
