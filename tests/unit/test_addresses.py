"""Addresses of Kibana and Zoomdata; test_client.py has those of Elasticsearch, which are read by the same rules."""

import pytest

from indexer.dashboards.http import display_url, http_address
from indexer.errors import WrongUsage


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://host", "http://host"),
        ("https://anna:p%2Fw@host:5601/base/", "https://host:5601/base"),
        ("https://host/app/home?x=1#/", "https://host/app/home"),
        ("http://[::1]:5601", "http://[::1]:5601"),
    ],
)
def test_what_is_called_is_shown(url: str, seen: str) -> None:
    """Without a user, and without what a browser adds."""
    assert display_url(http_address(url, "--kibana-url", "https://kibana:5601")) == seen


@pytest.mark.parametrize("sign", "@/?# \t\n\\[]%")
@pytest.mark.parametrize(
    "url", ["http://anna:12{}s3cret@host:5601", "http://anna{}s3cret:12@host", "http://anna:s3cret{}"]
)
def test_no_part_of_a_password_is_shown(url: str, sign: str) -> None:
    """And no host is called that only one program reads there."""
    with pytest.raises(
        WrongUsage, match=r"The value of --kibana-url .* is not a valid http\(s\) address"
    ) as raised:
        http_address(url.format(sign), "--kibana-url", "https://kibana:5601")
    assert not [part for part in ("s3cret", "anna", "12") if part in str(raised.value)]


@pytest.mark.parametrize(
    "url", ["ftp://host", "host", "", "http://", "http://[::1%25lo]:5601", "http://host:99999"]
)
def test_what_is_no_address_is_named(url: str) -> None:
    """With the option that gave it, and one as it should be."""
    with pytest.raises(WrongUsage) as raised:
        http_address(url, "--zoomdata-url", "https://zoomdata:8443")
    assert (
        str(raised.value)
        == f"{url!r} is not a valid http(s) address. Give --zoomdata-url one like https://zoomdata:8443."
    )
