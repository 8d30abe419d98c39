"""``python -m benchmarks.page_once VISITS URL…``: print how soon each visit shows something, ms, a line an address."""

import json
import sys

from tests.page.browser import chromium

# The first paint may come after the page is loaded.
PAINT = """
const done = arguments[0];
new PerformanceObserver(seen => done(seen.getEntries()[0].startTime)).observe({type: "paint", buffered: true});
"""


def main(visits: str, *addresses: str) -> None:
    """Visit each address some times in a Chromium of its own."""
    with chromium() as browser:
        for address in addresses:
            paints = []
            for _ in range(int(visits)):
                browser.get(address)
                paints.append(browser.execute_async_script(PAINT))
            print(json.dumps(paints))


if __name__ == "__main__":
    main(*sys.argv[1:])
