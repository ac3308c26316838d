# the debug shell: a serial line does not know how large its terminal is
resize > /dev/null
