// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;

fn parse(texts: &[&str]) -> Result<Config, ConfigError> {
    let layers: Vec<Layer<'_>> =
        texts.iter().zip(["image.conf", "machine.conf"]).map(|(text, path)| Layer { path, text }).collect();
    Config::parse(&layers)
}

fn plain() -> Config {
    Config {
        readonly: None,
        root_transient: false,
        root_transient_ro: false,
        etc_transient: false,
        composefs: Composefs::No,
        keypath: DEFAULT_KEYPATH.to_owned(),
    }
}

#[test]
fn nothing_configured_is_the_plain_mode() {
    assert_eq!(parse(&[]), Ok(plain()));
    assert_eq!(parse(&["", "# only a comment\n[other]\nkey=value\n"]), Ok(plain()));
}

#[test]
fn layers_merge_key_by_key() {
    let image = "[sysroot]\nreadonly=true\n[etc]\ntransient=true\n[composefs]\nkeypath=/a\n";
    let machine = "[etc]\ntransient=false\n";
    let expected = Config { readonly: Some(true), keypath: "/a".to_owned(), ..plain() };
    assert_eq!(parse(&[image, machine]), Ok(expected));
}

#[test]
fn composefs_brings_a_readonly_sysroot() {
    for (text, readonly) in [
        ("[composefs]\nenabled=yes\n", true),
        ("[composefs]\nenabled=signed\n", true),
        ("[composefs]\nenabled=yes\n[sysroot]\nreadonly=false\n", false),
        ("[composefs]\nenabled=maybe\n", false),
        ("[composefs]\nenabled=no\n", false),
    ] {
        assert_eq!(parse(&[text]).unwrap().sysroot_readonly(), readonly, "{text}");
    }
}

#[test]
fn errors_name_the_file_and_the_place() {
    for (texts, message) in [
        (["", "[sysroot]\nreadonly=perhaps\n"], "/machine.conf: [sysroot] readonly=perhaps"),
        (["[sysroot\n", ""], "/image.conf: "),
        (["[composefs]\nenabled=on\n", ""], "/image.conf: composefs.enabled=on: must be one of"),
        (["[root]\ntransient=true\n", "[root]\ntransient-ro=true\n"], "exclude each other"),
        (["[composefs]\nkeypath=a\\q\n", ""], "/image.conf: [composefs] keypath=a\\q"),
    ] {
        let error = parse(&texts).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
    let overridden = parse(&["[sysroot]\nreadonly=perhaps\n", "[sysroot]\nreadonly=true\n"]);
    assert!(overridden.unwrap().sysroot_readonly(), "only the value that counts is read");
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (text, refused) in [
        ("[composefs]\nenabled=yes\n", Some("composefs.enabled=yes")),
        ("[composefs]\nenabled=verity\n", Some("composefs.enabled=verity")),
        ("[composefs]\nenabled=signed\n", Some("composefs.enabled=signed")),
        ("[root]\ntransient=true\n", Some("root.transient=true")),
        ("[root]\ntransient-ro=true\n", Some("root.transient-ro=true")),
        ("[etc]\ntransient=true\n", Some("etc.transient=true")),
        ("[composefs]\nenabled=maybe\n", None),
        ("[composefs]\nenabled=no\n", None),
    ] {
        let said = parse(&[text]).unwrap().check_supported().err().map(|e| e.to_string());
        match refused {
            Some(wish) => assert!(said.unwrap().starts_with(wish)),
            None => assert_eq!(said, None, "{text}"),
        }
    }
}

#[test]
fn the_kernel_argument_wins() {
    for (line, expected) in [
        ("ostree.prepare-root.composefs=signed", Some(Composefs::Signed)),
        ("quiet ostree.prepare-root.composefs=0", Some(Composefs::No)),
        ("ostree.prepare-root.composefs=\"maybe\"", Some(Composefs::Maybe)),
        // Documented upstream, and an error there.
        ("ostree.prepare-root.composefs=verity", Some(Composefs::Verity)),
        ("ostree.prepare-root.composefsx=no", Some(Composefs::Yes)),
        ("ostree.prepare-root.composefs", None),
        ("ostree.prepare-root.composefs=sometimes", None),
    ] {
        let mut config = parse(&["[composefs]\nenabled=yes\n"]).unwrap();
        let done = config.override_with(&KernelArgs::parse(line));
        assert_eq!(done.ok().map(|()| config.composefs), expected, "{line}");
        // The default follows what counts in the end.
        assert_eq!(config.sysroot_readonly(), config.composefs.is_required(), "{line}");
    }
}

#[test]
fn files_of_a_root_are_read() {
    use std::os::fd::AsFd;
    let temp = tempfile::tempdir().unwrap();
    let texts = ["[sysroot]\nreadonly=true\n", "[composefs]\nkeypath=/k\n", "[etc]\ntransient=true\n"];
    for (path, text) in PATHS.iter().zip(texts) {
        let file = temp.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let root = std::fs::File::open(temp.path()).unwrap();
    let config = Config::load(root.as_fd()).unwrap();
    assert_eq!(
        config,
        Config { readonly: Some(true), etc_transient: true, keypath: "/k".to_owned(), ..plain() }
    );
    assert_eq!(Config::load_with(root.as_fd(), &Calls::OLDEST), Ok(config));

    std::fs::write(temp.path().join(PATHS[2]), b"[etc]\ntransient=\xff\n").unwrap();
    let error = Config::load(root.as_fd()).unwrap_err().to_string();
    assert_eq!(error, "reading /etc/ostree/prepare-root.conf: not UTF-8 text");
    std::fs::write(temp.path().join(PATHS[2]), "[etc").unwrap();
    let error = Config::load(root.as_fd()).unwrap_err().to_string();
    assert!(error.starts_with("/etc/ostree/prepare-root.conf: line 1"), "{error}");
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_configuration_or_a_one_line_error(image in ".*", machine in "(\\[(sysroot|composefs)\\]\n(readonly|enabled)=.*\n)*") {
        if let Err(error) = parse(&[&image, &machine]) {
            proptest::prop_assert!(!error.to_string().contains('\n'), "{}", error);
        }
    }
}
