# What `make install PREFIX=...` lays down: library, headers, pkg-config file,
# CMake package, man pages. (The command installs itself, in cli/.)
include(CMakePackageConfigHelpers)

install(TARGETS ndshare EXPORT ndshare-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/ndshare
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h"
  PATTERN "*.hpp")
install(EXPORT ndshare-targets NAMESPACE ndshare::
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ndshare)
configure_package_config_file(
  ${CMAKE_SOURCE_DIR}/packaging/ndshare-config.cmake.in
  ${CMAKE_BINARY_DIR}/ndshare-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ndshare)
write_basic_package_version_file(
  ${CMAKE_BINARY_DIR}/ndshare-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/ndshare-config.cmake
  ${CMAKE_BINARY_DIR}/ndshare-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ndshare)

# The prefix is only known at install time (`cmake --install --prefix`), so the
# .pc file finds it from its own place.
configure_file(${CMAKE_SOURCE_DIR}/packaging/ndshare.pc.in
  ${CMAKE_BINARY_DIR}/ndshare.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/ndshare.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(GLOB NDS_MAN1 ${CMAKE_SOURCE_DIR}/docs/man/*.1)
if(NDS_MAN1)
  install(FILES ${NDS_MAN1} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
