"""CSV tables."""

import warnings

import numpy as np

from fuzz import scratch
from riemaug.data.tables import read_table
from riemaug.limits import Limits

LIMITS = Limits(columns=50)


def target(data: bytes) -> None:
    """Read the bytes as a CSV file, or as TSV if the first is odd."""
    path = scratch.folder("tables") / ("x.tsv" if data[:1] and data[0] % 2 else "x.csv")
    path.write_bytes(data[1:])
    with warnings.catch_warnings(action="ignore"):
        data_set = read_table(path, limits=LIMITS)
    assert np.isfinite(data_set.samples).all()
    data_set.format.to_dict()


def seeds() -> dict[str, bytes]:
    """Return tables with all kinds of columns."""
    texts = {
        "numbers": "\0a,b,label\n1,2.5,x\n2,3.5,y\n3,4.5,x\n4,1e9,y\n",
        "kinds": "\0when,ok,code,kind,label\n2020-01-01,true,007,a,0\n2020-01-03,false,008,b,1\n"
        "2020-01-02,true,009,a,0\n2020-01-05,true,010,c,1\n",
        "commas": "\0a;b;label\n1,5;2;x\n2,5;3;y\n1,25;2;x\n7,5;9;y\n",
        "tabs": '\1a\tgroup\tlabel\n1\tp1\t"x"\n2\tp2\ty\n3\tp1\tx\n4\tp2\ty\n',
        "formulas": "\0=a,@b,label\n=1+1,-2,x\n@SUM(A1),2,y\n=1+1,3,x\n+5,4,y\n",
        "ragged": "\0a,b,label\n1,2,x\n1,2\n1,2,3,4\n",
        "index": "\0,a,label\n0,1.5,x\n1,2.5,y\n2,4.5,x\n3,5,y\n",
    }
    return {name: text.encode() for name, text in texts.items()}
