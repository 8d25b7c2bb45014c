# A traceback whose file is not the script's: nobody may look for its lines there.
from reduce_vars import standard_vars

exec(compile("\n" * 6 + "raise OSError(2, 'No such file', filename)", standard_vars["victim"], "exec"), {"filename": standard_vars["victim"]})
