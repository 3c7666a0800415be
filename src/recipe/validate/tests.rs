use crate::recipe::resolve;

fn refused(recipe: &str, set: &str) -> String {
    resolve(recipe, &[set.to_string()]).unwrap_err().to_string()
}

#[test]
fn a_value_out_of_its_range_is_told_one_in_it() {
    for (recipe, sets) in [
        ("cyclegan", "optim.lr=2 optim.betas=[0.5,1] train.images=0 train.batch=99999 train.decay_after=-1"),
        ("cyclegan", "train.critic_steps=0 train.decay_stairs=0 train.ema=1 loss.cycle=-1 loss.r1=.inf"),
        ("cyclegan", "checkpoint.every=0 checkpoint.keep=0 log.every=0 sample.every=0 monitor.every=0"),
        (
            "cyclegan",
            "sample.count=65 monitor.count=5000 data.size=250 data.size=6 data.size=20 data.size=9999",
        ),
        ("cyclegan", "data.size=4294967295 data.load_size=9 data.load_size=9999"),
        ("cyclegan", "generators.x_to_y.net.blocks=0 discriminators.y.net.layers=9"),
        ("dcgan-tiny", "data.size=48 generators.z_to_x.net.noise=0 generators.z_to_x.net.width=9999"),
        ("wgan", "loss.adversarial.clip=0"),
        ("wgan-gp", "loss.adversarial.penalty=0"),
    ] {
        for set in sets.split(' ') {
            let text = refused(recipe, set);
            let works = text.rsplit("\nhint: as in `--set ").next().and_then(|hint| hint.strip_suffix('`'));
            let works = works.unwrap_or_else(|| panic!("{text}"));
            let works: Vec<String> = works.split(" --set ").map(String::from).collect();
            assert!(resolve(recipe, &works).is_ok(), "{text}");
        }
    }
}

/// One value alone would only break the next rule.
#[test]
fn values_that_have_to_change_together_are_told_together() {
    let unet = "generators.x_to_y.net.kind=unet";
    let text = refused("demo", unet);
    assert!(text.ends_with("over it, as in `--set data.size=256 --set data.load_size=256`"), "{text}");
    let sets = [unet, "data.size=256", "data.load_size=256"].map(String::from);
    assert!(resolve("demo", &sets).is_ok());
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine.yaml").display().to_string();
    for (text, hint) in [
        (
            "extends: cyclegan\ngenerators: { y_to_x: null }\ndiscriminators: { x: null }\n",
            "write `loss: { cycle: 0, identity: 0 }` in ",
        ),
        (
            "extends: pix2pix-tiny\ngenerators: { x_to_y: null, z_to_y: { from: z, to: y, net: { kind: dcgan } } }\n\
             discriminators: { y: { net: { kind: patch }, sees_source: false } }\n",
            "write `data: { paired: false }` and `loss: { paired: 0 }` in ",
        ),
        (
            "extends: demo\ngenerators: { x_to_y: { net: { kind: unet } } }\ndata: { size: 60, load_size: 70 }\n",
            "as in `data: { size: 256, load_size: 256 }`",
        ),
    ] {
        std::fs::write(&mine, text).unwrap();
        let told = resolve(&mine, &[]).unwrap_err().to_string();
        let found = told.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
        assert!(found.starts_with(hint), "{told}");
        let sections = hint.split('`').skip(1).step_by(2).map(|section| {
            let (name, fields) = section.split_once(": { ").unwrap();
            fields
                .trim_end_matches(" }")
                .split(", ")
                .map(move |field| format!("{name}.{}", field.replace(": ", "=")))
        });
        assert!(resolve(&mine, &sections.flatten().collect::<Vec<_>>()).is_ok(), "{told}");
    }
}

#[test]
fn sizes_are_named_that_are_taken() {
    for size in ["8", "48", "512"] {
        let text = refused("dcgan-tiny", &format!("data.size={size}"));
        let expected = format!("`data.size` is `{size}`; expected 16, 32, 64, 128 or 256");
        assert!(text.contains(&expected), "{text}");
    }
    let text = refused("cyclegan-small", "data.size=50");
    assert!(text.contains("expected a multiple of 4 "), "{text}");
}

#[test]
fn uneven_widths_are_as_many_as_there_are_layers() {
    let net = "generators.x_to_y.net";
    for (list, count) in [("down=[16, 32]", 3), ("inner=[64, 64]", 9), ("up=[0, 16]", 2), ("up=[8192, 4]", 2)]
    {
        let text = refused("cyclegan-mobile", &format!("{net}.{list}"));
        let (part, widths) = list.split_once('=').unwrap_or_default();
        let widths = widths.replace(' ', "");
        let expected = format!("`{net}.{part}` is `{widths}`; expected {count} widths from 1 to 4096");
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn a_text_that_another_reader_would_change_is_refused() {
    for (odd, name) in [('\u{85}', "0085"), ('\u{2028}', "2028"), ('\u{2029}', "2029")] {
        let text = refused("cyclegan", &format!("about=a {odd} b"));
        assert!(text.contains(&format!("`about` is `…U+{name}…`; expected a text without")), "{text}");
    }
}

#[test]
fn a_discriminator_that_takes_no_condition_is_named() {
    let text = refused("cgan-tiny", "discriminators.x.net.kind=patch");
    assert!(text.contains("`discriminators.x.net.kind` is `patch`; expected `dcgan` or"), "{text}");
}
