// Nothing of this header is used; see `README.md` beside this folder.
#pragma once
