//! The named values of a portrait's attributes, and what colour each has in either style.

use super::Style;
use super::color::{Rgb, rgb};

/// An enum whose every value has a name, in the order of `ALL`.
macro_rules! named {
    ($(#[$about:meta])* $kind:ident { $($value:ident = $name:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $kind { $(#[doc = concat!("Named `", $name, "`.")] $value),+ }

        impl $kind {
            /// Every value, in a fixed order.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// The name used in captions and metadata.
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $name),+ }
            }
        }
    };
}

/// A named set of colours, each with its photo colour and its anime colour.
macro_rules! colors {
    ($(#[$about:meta])* $kind:ident { $($value:ident = $name:literal, $photo:expr, $anime:expr);+ $(;)? }) => {
        named! { $(#[$about])* $kind { $($value = $name),+ } }

        impl $kind {
            /// The base colour, before light and shadow, in one style.
            pub fn color(self, style: Style) -> Rgb {
                let (photo, anime) = match self { $(Self::$value => ($photo, $anime)),+ };
                match style { Style::Photo => photo, Style::Anime => anime }
            }
        }
    };
}

colors! {
    /// Skin tone.
    Skin {
        Porcelain = "porcelain", rgb(240, 208, 194), rgb(255, 237, 228);
        Fair = "fair", rgb(230, 189, 166), rgb(255, 226, 208);
        Light = "light", rgb(214, 168, 136), rgb(252, 211, 184);
        Tan = "tan", rgb(186, 136, 100), rgb(236, 186, 148);
        Brown = "brown", rgb(152, 106, 78), rgb(202, 147, 110);
        Deep = "deep", rgb(116, 78, 60), rgb(158, 108, 82);
    }
}

colors! {
    /// Hair colour.
    HairColor {
        Black = "black", rgb(40, 37, 40), rgb(66, 64, 88);
        Brown = "brown", rgb(104, 68, 44), rgb(146, 96, 64);
        Blonde = "blonde", rgb(210, 174, 108), rgb(252, 218, 122);
        Orange = "orange", rgb(196, 104, 46), rgb(248, 150, 74);
        Red = "red", rgb(148, 36, 38), rgb(222, 62, 66);
        Pink = "pink", rgb(214, 132, 162), rgb(255, 164, 200);
        Purple = "purple", rgb(108, 70, 144), rgb(164, 114, 220);
        Blue = "blue", rgb(54, 86, 154), rgb(92, 144, 236);
        Green = "green", rgb(60, 120, 80), rgb(104, 194, 124);
        Silver = "silver", rgb(188, 190, 198), rgb(226, 230, 242);
    }
}

colors! {
    /// Eye colour.
    EyeColor {
        Brown = "brown", rgb(98, 58, 30), rgb(146, 86, 48);
        Amber = "amber", rgb(212, 148, 30), rgb(252, 190, 48);
        Green = "green", rgb(54, 140, 62), rgb(72, 196, 92);
        Aqua = "aqua", rgb(50, 176, 178), rgb(72, 220, 220);
        Blue = "blue", rgb(44, 94, 202), rgb(66, 126, 250);
        Purple = "purple", rgb(128, 70, 184), rgb(166, 92, 236);
        Red = "red", rgb(190, 32, 40), rgb(236, 52, 66);
        Gray = "gray", rgb(128, 134, 144), rgb(152, 162, 180);
    }
}

colors! {
    /// Colour of the clothes.
    ClothesColor {
        White = "white", rgb(206, 204, 200), rgb(248, 248, 252);
        Black = "black", rgb(44, 44, 50), rgb(70, 70, 90);
        Navy = "navy", rgb(40, 54, 96), rgb(62, 84, 160);
        Red = "red", rgb(156, 46, 48), rgb(230, 78, 84);
        Green = "green", rgb(62, 112, 78), rgb(98, 188, 130);
        Yellow = "yellow", rgb(206, 168, 72), rgb(255, 218, 96);
        Pink = "pink", rgb(208, 140, 152), rgb(255, 178, 192);
        Teal = "teal", rgb(48, 122, 130), rgb(78, 196, 204);
    }
}

named! {
    /// The outline of the hair.
    HairStyle {
        Short = "short",
        Bob = "bob",
        Long = "long",
        TwinTails = "twin tails",
        Ponytail = "ponytail",
        Spiky = "spiky",
    }
}

named! {
    /// The hair over the forehead.
    Fringe {
        Straight = "straight",
        Swept = "swept",
        Parted = "parted",
        Choppy = "choppy",
    }
}

named! {
    /// The cut of the clothes at the neck.
    Neckline {
        Round = "round",
        Open = "open",
        High = "high",
        Collar = "collar",
    }
}

named! {
    /// What the mouth does.
    Expression {
        Neutral = "neutral",
        Smile = "smile",
        Open = "open mouth",
        Frown = "frown",
    }
}

named! {
    /// What is behind the person.
    Scene {
        Studio = "studio",
        Lights = "lights",
        Hills = "hills",
        Curtain = "curtain",
        Leaves = "leaves",
        Window = "window",
    }
}
