// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;

fn label(sources: &Sources<'_>, path: &str, kind: Kind) -> Option<String> {
    let contexts = FileContexts::parse(sources).unwrap();
    contexts.lookup(path.as_bytes(), kind).unwrap().map(str::to_owned)
}

/// Each of these is what `matchpathcon` of libselinux 3.4 and 3.8 says.
#[test]
fn which_line_counts() {
    let policy = br"
        # the general first
        /.*              default
        /etc/x.*         x
        /etc/.*y         y
        /a/b/.*          below
        /a/.*/c          later
        /c/f             exact
        /d/f             any
        /d/f       --    file
        /g/.*      --    file
        /g/.*            any
        /h/.*            any
        /h/.*      --    file
        /k/f\.x          escaped
        /k/.*            tree
        /m/.*            policy
        /n/.*            <<none>>
        /o(/.*)?         o
    ";
    let sources = Sources {
        policy,
        homedirs: b"/m/.*x home\n/m/q/.* home\n",
        local: b"/c/.* local\n/m/.* local\n",
        subs: b"/z /g\n/p /y\n",
        subs_dist: b"/s /c\n/s/t /d\n/v/t /d\n/v /c\n/w/x /\n/ee/ /e\n/y /z\n",
    };
    for (path, file, directory) in [
        ("/etc/xy", "y", "y"),
        ("/a/b/c", "later", "later"),
        ("/c/f", "exact", "exact"),
        ("/c/g", "local", "local"),
        ("/d/f", "file", "any"),
        ("/g/1", "any", "any"),
        ("/h/1", "file", "any"),
        ("/k/f.x", "escaped", "escaped"),
        ("/k/fyx", "tree", "tree"),
        ("/m/ax", "local", "local"),
        ("/m/q/1", "local", "local"),
        ("/s/t/f", "file", "any"),
        ("/v/t/f", "file", "any"),
        ("/w/x/c/f", "exact", "exact"),
        ("/w/x", "default", "default"),
        ("/n/1", "", ""),
        ("/o", "o", "o"),
        ("/o/", "o", "o"),
        ("/o/x", "o", "o"),
        ("/ox", "default", "default"),
        ("//etc///xy", "y", "y"),
        ("/p/1", "default", "default"),
        ("/y/1", "default", "default"),
        ("/z/1", "any", "any"),
        ("/ee/f", "default", "default"),
        ("/", "default", "default"),
        ("etc", "", ""),
        ("", "", ""),
    ] {
        for (kind, expected) in [(Kind::File, file), (Kind::Directory, directory)] {
            assert_eq!(label(&sources, path, kind).unwrap_or_default(), expected, "{path} {kind:?}");
        }
    }
}

#[test]
fn kinds() {
    for (word, mode) in [
        ("--", 0o100_644),
        ("-d", 0o040_755),
        ("-l", 0o120_777),
        ("-b", 0o060_600),
        ("-c", 0o020_600),
        ("-p", 0o010_600),
        ("-s", 0o140_600),
    ] {
        let policy = format!("/f.* {word} it");
        let sources = Sources { policy: policy.as_bytes(), ..Sources::default() };
        for kind in Kind::ALL {
            let expected = (Kind::of_mode(mode) == Some(kind)).then(|| "it".to_owned());
            assert_eq!(label(&sources, "/f", kind), expected, "{word} {kind:?}");
        }
    }
    assert_eq!(Kind::of_mode(0o644), None);
}

/// Answers of PCRE; some of these expressions the crate `regex` would read otherwise.
#[test]
fn expressions() {
    for (expression, fits, fits_not) in [
        (r"/a[b[]c", "/a[c", "/ac"),
        (r"/a[]b]c", "/a]c", "/ac"),
        (r"/a[^]b]c", "/axc", "/a]c"),
        (r"/a[b&&c]d", "/a&d", "/ad"),
        (r"/a[a-c-]d", "/a-d", "/add"),
        (r"/a[-c]d", "/a-d", "/add"),
        (r"/a[\]\-z]", "/a-", "/aa"),
        (r"/a[[:digit:]x]", "/a7", "/ay"),
        (r"/a[^[:digit:]]", "/ay", "/a7"),
        (r"/a[[:^digit:]]", "/ay", "/a7"),
        (r"/a\<b\>", "/a<b>", "/ab"),
        (r"/a.\#", "/ab#", "/ab\\#"),
        (r"/a{.?", "/a{", "/a"),
        (r"/a{,2}.?", "/a{,2}", "/aa"),
        (r"/a{1,}b", "/aab", "/b"),
        (r"/a{2}b", "/aab", "/ab"),
        (r"/a+?b*?c??", "/aab", "/b"),
        (r"/(a|b)/c", "/b/c", "/c"),
        (r"/(?:a|b)/c", "/b/c", "/c"),
        (r"/a.|/b.", "/bx", "/c"),
        (r"/[|]a", "/|a", "/a"),
        (r"/a.*/x", "/a\n/x", "/a/"),
        (r"/\d+\w\s\S", "/12a .", "/a"),
        (r"/a?b", "/b", "/aab"),
        (r"/\.[^/]+", "/.x", "/./"),
        (r"/x-]}", "/x-]}", "/x"),
        (r"/é.", "/éx", "/e"),
    ] {
        let policy = format!("{expression} it");
        let sources = Sources { policy: policy.as_bytes(), ..Sources::default() };
        assert_eq!(label(&sources, fits, Kind::File).as_deref(), Some("it"), "{expression} {fits}");
        assert_eq!(label(&sources, fits_not, Kind::File), None, "{expression} {fits_not}");
    }
}

#[test]
fn a_dot_is_a_byte() {
    let sources = Sources { policy: b"/a.b it\n", ..Sources::default() };
    assert_eq!(label(&sources, "/aéb", Kind::File), None);
    assert_eq!(FileContexts::parse(&sources).unwrap().lookup(b"/a\xffb", Kind::File), Ok(Some("it")));
}

#[test]
fn a_line_that_is_none_is_an_error() {
    for (policy, message) in [
        ("/a\n", "file_contexts line 1: there is no label after the path"),
        ("/a x\n\n/b --- x\n", "file_contexts line 3: \"---\" is no kind of file"),
        ("/a -- \u{7f}\n", "file_contexts line 1: \"\\u{7f}\" is no label"),
        ("/a x # comment\n", "file_contexts line 1: \"x\" is no kind of file"),
    ] {
        let error =
            FileContexts::parse(&Sources { policy: policy.as_bytes(), ..Sources::default() }).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
    }
    let local = Sources { local: b"/a", ..Sources::default() };
    assert_eq!(FileContexts::parse(&local).unwrap_err().file, "file_contexts.local");
}

/// They stop who asks for a path that they may be for, and nobody else.
#[test]
fn an_expression_that_is_not_known_is_named() {
    for (expression, message) in [
        (r"/a(?=b).*", "has a group of a special kind"),
        (r"/a(?<n>b)", "has a group of a special kind"),
        (r"/a(*FAIL)", "has a group of a special kind"),
        (r"/a(b)\1", "has an escape with a special meaning"),
        (r"/ab.++", "has a repetition that gives nothing back"),
        (r"/ab{2}+", "has a repetition that gives nothing back"),
        (r"/a[[.b.]]", "has a class of characters of a special kind"),
        (r"/a[[:letter:]]", "has a class of characters of a special kind"),
        (r"/a[b", "cannot be read"),
        (r"/a(b", "cannot be read"),
        (r"/a.\", "cannot be read"),
        (r"/a.{99999}{999}", "cannot be read"),
    ] {
        let policy = format!("/b.* it\n{expression} it\n");
        let contexts =
            FileContexts::parse(&Sources { policy: policy.as_bytes(), ..Sources::default() }).unwrap();
        assert_eq!(contexts.lookup(b"/b", Kind::File), Ok(Some("it")), "{expression}");
        let error = contexts.lookup(b"/abbb", Kind::File).unwrap_err().to_string();
        assert!(error.starts_with("file_contexts line 2: the expression"), "{error}");
        assert!(error.contains(message) && !error.contains('\n'), "{error}");
    }
}
