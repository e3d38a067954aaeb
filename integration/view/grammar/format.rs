//! A format of the kernel's `seq_printf`, read backwards: the lines that it can print.

/// Returns whether the kernel can print the line by that format, for any arguments.
///
/// Knows `%u`, `%lu` and `%llu` for a number, `%d` for one that may be negative, a width (`%8lu`), a
/// width filled with zeros (`%02lu`), and `%s` for a word without blanks.
pub(crate) fn prints(format: &str, line: &str) -> bool {
    rest_of(format, line).is_some_and(str::is_empty)
}

/// Returns the rest of the text behind the part that the format prints.
pub(crate) fn rest_of<'text>(format: &str, text: &'text str) -> Option<&'text str> {
    let Some((literal, directive)) = format.split_once('%') else {
        return text.strip_prefix(format);
    };
    let text = text.strip_prefix(literal)?;
    let end = directive.find(|letter: char| "uds".contains(letter))?;
    let (flags, rest) = directive.split_at(end);
    let (kind, rest) = rest.split_at(1);
    let flags = flags.trim_end_matches('l');
    let text = match kind {
        "s" => {
            let end = text.find([' ', '\t']).unwrap_or(text.len());
            text.get(end..).filter(|_| end > 0)?
        }
        _ => number(flags, kind == "d", text)?,
    };
    rest_of(rest, text)
}

/// Returns the rest of the text behind a number in those columns.
fn number<'text>(flags: &str, is_signed: bool, text: &'text str) -> Option<&'text str> {
    let width: usize = match flags {
        "" => 0,
        width => width.parse().ok()?,
    };
    let blanks = text.len() - text.trim_start_matches(' ').len();
    let unsigned = text[blanks..].strip_prefix('-').filter(|_| is_signed);
    let digits = unsigned.unwrap_or(&text[blanks..]);
    let end = digits
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    let columns = text.len() - rest.len();
    // The kernel fills up to the width, and no further.
    let is_filled = columns == width || columns > width && blanks == 0;
    let is_plain = !digits.starts_with('0') || digits.len() == 1;
    let is_zero_filled = flags.starts_with('0') && digits.len() == width;
    let is_number = !digits.is_empty() && is_filled && (is_plain || is_zero_filled);
    (is_number && !(flags.starts_with('0') && blanks > 0)).then_some(rest)
}

#[test]
fn a_format_is_read_backwards_column_by_column() {
    for (format, line) in [
        ("MemFree:        %8lu kB", "MemFree:            1024 kB"),
        ("MemFree:        %8lu kB", "MemFree:        263856264 kB"),
        ("%lu.%02lu", "0.07"),
        ("%4d %7d %s", " 259       0 nvme0n1"),
        ("%s %d", "word -2"),
    ] {
        assert!(prints(format, line), "{format}: {line}");
    }
    for (format, line) in [
        ("MemFree:        %8lu kB", "MemFree:           1024 kB"),
        ("MemFree:        %8lu kB", "MemFree:         263856264 kB"),
        ("MemFree:        %8lu kB", "MemFree:        00001024 kB"),
        ("%lu.%02lu", "007.07"),
        ("%lu.%02lu", "1.7"),
        ("%lu.%02lu", "1.007"),
        ("%lu %lu", "1  2"),
        ("%lu", "1 "),
        ("%lu", "-1"),
        ("%lu", ""),
    ] {
        assert!(!prints(format, line), "{format}: {line}");
    }
}
